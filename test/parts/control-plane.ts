import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clusterAccess } from './cluster-access.ts';
import type { ClusterAccess } from './cluster-access.ts';
import { controlPlaneBinaries } from './control-plane-binaries.ts';
import { eventually } from './eventually.ts';
import { freePorts } from './free-port.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { runProcess } from './process.ts';
import type { RunningProcess } from './process.ts';
import { startRestartable } from './restartable-process.ts';
import type { RestartableProcess } from './restartable-process.ts';
import { temporaryDirectory } from './temporary-directory.ts';

export type ControlPlaneOptions = {
  /**
   * Run kube-controller-manager too: it collects garbage, finishes the deletion of namespaces, and gives each namespace
   * its ServiceAccount `default`. Default true.
   */
  readonly controllerManager?: boolean;
};

/** A Kubernetes control plane on 127.0.0.1 with RBAC: no nodes, so Pods are stored and never run. */
export type ControlPlane = AsyncDisposable &
  ClusterAccess & {
    /** kube-apiserver; a restart keeps its port, its certificate and what is stored. */
    readonly apiserver: RestartableProcess;
    readonly etcd: RestartableProcess;
    /** Undefined if it was not asked for. */
    readonly controllerManager: RestartableProcess | undefined;
  };

const CONTROLLERS = [
  'garbage-collector-controller',
  'namespace-controller',
  'serviceaccount-controller',
  'clusterrole-aggregation-controller',
];

/**
 * Starts etcd, kube-apiserver and kube-controller-manager and resolves when they serve. A few seconds, once the binaries
 * are there; see control-plane-binaries.ts for the first time. Rejects with the reason, or with the output of what failed.
 */
export async function startControlPlane({ controllerManager = true }: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const binaries = await controlPlaneBinaries();
  await using stack = new AsyncDisposableStack();
  const { path: directory } = stack.use(await temporaryDirectory('control-plane'));
  const [etcdPort = 0, peerPort = 0, port = 0] = await freePorts(3);
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const url = `https://127.0.0.1:${port}`;
  const file = (name: string): string => join(directory, name);

  const etcd = stack.use(await startEtcd(binaries.etcd, file('etcd'), etcdUrl, `http://127.0.0.1:${peerPort}`));

  const keys = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const admin = randomBytes(16).toString('hex');
  const manager = randomBytes(16).toString('hex');
  await writeFile(file('service-account.pub'), keys.publicKey);
  await writeFile(file('service-account.key'), keys.privateKey, { mode: 0o600 });
  const users = `${admin},admin,admin,"system:masters"\n${manager},system:kube-controller-manager,manager\n`;
  await writeFile(file('tokens.csv'), users, { mode: 0o600 });

  const apiserverArgs = [
    `--etcd-servers=${etcdUrl}`,
    `--cert-dir=${file('certificates')}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    // Endpoints may not be on loopback: the Service `kubernetes` gets none.
    '--endpoint-reconciler-type=none',
    `--secure-port=${port}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${file('service-account.pub')}`,
    `--service-account-signing-key-file=${file('service-account.key')}`,
    '--service-cluster-ip-range=10.0.0.0/24',
    '--authorization-mode=RBAC',
    // No Pod runs here, so none needs a token mounted.
    '--disable-admission-plugins=ServiceAccount',
    `--token-auth-file=${file('tokens.csv')}`,
  ];
  const serves = (started: RunningProcess): Promise<unknown> =>
    whileRunning(started, async () => {
      // The server makes its own certificate at its first start; the file is the chain with the authority.
      const ca = await readFile(join(file('certificates'), 'apiserver.crt'), 'utf8');
      await writeKubeconfig(file('admin.kubeconfig'), { url, ca, token: admin });
      const args = ['--kubeconfig', file('admin.kubeconfig'), 'get', '--raw', '/readyz'];
      const { stdout, stderr } = await runProcess({ command: binaries.kubectl, args }, { timeoutMs: 5_000 });
      if (stdout !== 'ok') throw new Error(stderr);
      return true;
    });
  const apiserver = stack.use(
    await startRestartable(
      { command: binaries.kubeApiserver, args: apiserverArgs, cwd: directory },
      { ready: serves, disposeSignal: 'SIGKILL' },
    ),
  );
  const ca = await readFile(join(file('certificates'), 'apiserver.crt'), 'utf8');
  const access = clusterAccess({
    url,
    ca,
    adminKubeconfig: file('admin.kubeconfig'),
    kubectlPath: binaries.kubectl,
    directory,
  });

  let manages: RestartableProcess | undefined;
  if (controllerManager) {
    const kubeconfig = await writeKubeconfig(file('controller-manager.kubeconfig'), { url, ca, token: manager });
    const args = [
      `--kubeconfig=${kubeconfig}`,
      `--controllers=${CONTROLLERS.join(',')}`,
      // Each controller with its own rights, as in a real cluster.
      '--use-service-account-credentials',
      `--service-account-private-key-file=${file('service-account.key')}`,
      '--leader-elect=false',
      '--secure-port=0',
    ];
    manages = stack.use(
      await startRestartable(
        { command: binaries.kubeControllerManager, args, cwd: directory },
        { ready: (started) => started.waitForLine(/Proceeding to collect garbage/), disposeSignal: 'SIGKILL' },
      ),
    );
  }
  const owned = stack.move();
  return {
    ...access,
    apiserver,
    etcd,
    controllerManager: manages,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function startEtcd(command: string, dataDirectory: string, url: string, peerUrl: string): Promise<RestartableProcess> {
  const args = [
    `--data-dir=${dataDirectory}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    '--unsafe-no-fsync',
  ];
  const healthy = (started: RunningProcess): Promise<unknown> =>
    whileRunning(started, async () => (await fetch(`${url}/health`)).ok);
  return startRestartable({ command, args }, { ready: healthy, disposeSignal: 'SIGKILL' });
}

/** Polls `check`; gives up at once, with the output, if the process ends. */
async function whileRunning(started: RunningProcess, check: () => Promise<boolean>): Promise<void> {
  const attempt = async (): Promise<boolean> => started.ended || (await check());
  await eventually(attempt, { timeout: 60_000, interval: 100, describe: 'the server is ready' });
  if (!started.ended) return;
  const { code, signal } = await started.exited;
  const last = started.output().split('\n').slice(-20).join('\n');
  throw new Error(`the server ended (${signal ?? code}) before it was ready:\n${last}`);
}
