import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import type { ClusterAccess } from './cluster-access.ts';
import { isExecutable } from './package-manager.ts';
import { buildGoBinaries, goBinariesDirectory, type GoTools } from './go-binaries.ts';
import { goToolchain } from './go-toolchain.ts';
import { runProcess, startProcess } from './process.ts';

const folder = fileURLToPath(new URL('../control-plane/cert-manager/', import.meta.url));
const CERT_MANAGER: GoTools = {
  name: 'cert-manager',
  folder,
  ldflags: '-s -w',
  tools: [{ name: 'cert-manager', package: '.', minutes: 3 }],
};

/** The folder of cert-manager's CRDs, from its module. */
export async function certManagerCrds(): Promise<string> {
  const { crds } = await certManagerFiles();
  return crds;
}

/** cert-manager's own certificate controllers against this control plane, as its administrator. Its CRDs must be there. */
export async function startCertManager(cluster: ClusterAccess, clusterNamespace: string): Promise<AsyncDisposable> {
  const { binary } = await certManagerFiles();
  const args = ['--kubeconfig', cluster.adminKubeconfig, '--cluster-resource-namespace', clusterNamespace];
  const process = await startProcess({ command: binary, args });
  await process.waitForLine(/cert-manager's controllers are running/);
  return process;
}

/** Built with Go the first time, then from the cache. Rejects with the reason if it cannot be had. */
async function certManagerFiles(): Promise<{ readonly binary: string; readonly crds: string }> {
  await buildGoBinaries(CERT_MANAGER, ['cert-manager']);
  const directory = await goBinariesDirectory(CERT_MANAGER);
  const binary = join(directory, 'cert-manager');
  const crds = join(directory, 'crds');
  if (!(await isExecutable(join(crds, '.')))) {
    const go = await goToolchain(folder);
    const { code, stdout, stderr } = await runProcess({
      command: go,
      args: ['list', '-m', '-f', '{{.Dir}}', 'github.com/cert-manager/cert-manager'],
      cwd: folder,
    });
    if (code !== 0) throw new Error(`go list failed (${code}): ${stderr.trim()}`);
    const staged = `${crds}.${process.pid}`;
    await mkdir(directory, { recursive: true });
    await cp(join(stdout.trim(), 'deploy/crds'), staged, { recursive: true, filter: (path) => !path.endsWith('.md') });
    // Another test process may have been quicker.
    await rename(staged, crds).catch(() => rm(staged, { recursive: true, force: true }));
  }
  return { binary, crds };
}
