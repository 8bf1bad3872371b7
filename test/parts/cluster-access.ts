import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { runProcess } from './process.ts';
import type { Finished } from './process.ts';
import { writeKubeconfig } from './kubeconfig.ts';

/** How to reach a control plane; plain data, so that vitest can hand it from its global setup to the test files. */
export type ClusterAddress = {
  /** E.g. `https://127.0.0.1:6443`. */
  readonly url: string;
  /** The certificates that the API server's certificate is checked against, PEM. */
  readonly ca: string;
  /** The path of a kubeconfig of a member of `system:masters`. */
  readonly adminKubeconfig: string;
  /** The path of kubectl. */
  readonly kubectlPath: string;
  /** A directory for more kubeconfigs; removed with the control plane. */
  readonly directory: string;
};

export type CommandOptions = {
  /** Its standard input, e.g. for `apply -f -`. */
  readonly input?: string;
  /** The path of a kubeconfig. Default: the administrator's. */
  readonly kubeconfig?: string;
};

export type ClusterAccess = ClusterAddress & {
  /** Runs kubectl. A non-zero exit is a result, not an error. */
  kubectl(args: readonly string[], options?: CommandOptions): Promise<Finished>;
  /** Runs kubectl and returns its stdout. Rejects with its stderr if it fails. */
  kubectlOk(args: readonly string[], options?: CommandOptions): Promise<string>;
  /** Applies manifests: YAML text, or objects. Rejects with kubectl's words. */
  apply(manifests: string | readonly object[], options?: Pick<CommandOptions, 'kubeconfig'>): Promise<void>;
  /**
   * The path of a kubeconfig with a token of this ServiceAccount, from a TokenRequest, valid for a day. Rejects if there
   * is no such ServiceAccount.
   */
  serviceAccountKubeconfig(namespace: string, name: string): Promise<string>;
};

/** The commands of a control plane, given its address. */
export function clusterAccess(address: ClusterAddress): ClusterAccess {
  const { kubectlPath, adminKubeconfig, directory, url, ca } = address;
  const kubectl: ClusterAccess['kubectl'] = (args, { input, kubeconfig = adminKubeconfig } = {}) =>
    runProcess(
      // HOME: kubectl caches what the server offers there, by address, and ports are used again.
      { command: kubectlPath, args: ['--kubeconfig', kubeconfig, ...args], env: { HOME: directory } },
      input === undefined ? {} : { input },
    );
  const kubectlOk: ClusterAccess['kubectlOk'] = async (args, options) => {
    const { code, signal, stdout, stderr } = await kubectl(args, options);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')} failed (${signal ?? code}): ${stderr.trim()}`);
    return stdout;
  };
  return {
    ...address,
    kubectl,
    kubectlOk,
    apply: async (manifests, options) => {
      const items =
        typeof manifests === 'string'
          ? manifests
          : JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests });
      await kubectlOk(['apply', '--server-side', '-f', '-'], { ...options, input: items });
    },
    serviceAccountKubeconfig: async (namespace, name) => {
      const token = await kubectlOk(['create', 'token', name, '--namespace', namespace, '--duration', '24h']);
      const path = join(directory, `${namespace}-${name}-${randomBytes(4).toString('hex')}.kubeconfig`);
      return writeKubeconfig(path, { url, ca, token: token.trim(), namespace });
    },
  };
}
