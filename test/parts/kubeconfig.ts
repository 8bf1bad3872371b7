import { writeFile } from 'node:fs/promises';

export type KubeconfigFields = {
  /** E.g. `https://127.0.0.1:6443`. */
  readonly url: string;
  /** The certificates that the API server's certificate is checked against, PEM. */
  readonly ca: string;
  /** A bearer token. */
  readonly token: string;
  /** The namespace of commands that name none. Default `default`. */
  readonly namespace?: string;
};

/** Writes a kubeconfig of one context to `path`, readable by us alone, and returns the path. JSON is YAML too. */
export async function writeKubeconfig(
  path: string,
  { url, ca, token, namespace = 'default' }: KubeconfigFields,
): Promise<string> {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [
      { name: 'test', cluster: { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace } }],
  };
  await writeFile(path, JSON.stringify(config, undefined, 2), { mode: 0o600 });
  return path;
}
