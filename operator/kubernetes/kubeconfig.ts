import { KubeConfig } from '@kubernetes/client-node';

/**
 * The way to the API server that a kubeconfig file describes; undefined: that of the pod's service account. Throws an Error that says what is
 * wrong and repeats nothing of the file, which holds credentials.
 */
export function kubeConfigOf(path: string | undefined): KubeConfig {
  const config = new KubeConfig();
  if (path === undefined) {
    config.loadFromCluster();
    return config;
  }
  try {
    config.loadFromFile(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    throw new Error(code === undefined ? 'the file is no kubeconfig' : `the file cannot be read (${code})`, {
      cause: error,
    });
  }
  const server = config.getCurrentCluster()?.server;
  if (server === undefined || !URL.canParse(server))
    throw new Error('the file has no current cluster with a server: kubectl config use-context NAME sets it');
  return config;
}
