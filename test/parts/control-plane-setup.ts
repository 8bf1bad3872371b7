import type { TestProject } from 'vitest/node';
import type { ClusterAddress } from './cluster-access.ts';
import { helmBinary } from './control-plane-binaries.ts';
import { startControlPlane } from './control-plane.ts';

/** What the test files get to know of this run's control plane: how to reach it, or why there is none. */
export type ProvidedControlPlane =
  | (ClusterAddress & { readonly available: true; readonly helmPath: string })
  | { readonly available: false; readonly reason: string };

declare module 'vitest' {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- vitest's interface is merged with this one
  interface ProvidedContext {
    /** See shared-control-plane.ts. */
    controlPlane: ProvidedControlPlane;
  }
}

/**
 * vitest globalSetup: one control plane for all test files of a run. Where none can be had, its tests are skipped with
 * the reason, and with CI set the run fails.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  let helmPath: string;
  let controlPlane: Awaited<ReturnType<typeof startControlPlane>>;
  try {
    controlPlane = await startControlPlane();
  } catch (error) {
    return withoutControlPlane(project, error);
  }
  try {
    helmPath = await helmBinary();
  } catch (error) {
    await controlPlane[Symbol.asyncDispose]();
    return withoutControlPlane(project, error);
  }
  const { url, ca, adminKubeconfig, kubectlPath, directory } = controlPlane;
  project.provide('controlPlane', { available: true, url, ca, adminKubeconfig, kubectlPath, directory, helmPath });
  return async () => {
    await controlPlane[Symbol.asyncDispose]();
  };
}

function withoutControlPlane(project: TestProject, error: unknown): () => Promise<void> {
  if (process.env['CI'] !== undefined && process.env['CI'] !== '') throw error;
  const reason = error instanceof Error ? error.message : String(error);
  const line = '!'.repeat(100);
  process.stderr.write(
    `\n${line}\nNO KUBERNETES CONTROL PLANE: ALL TESTS THAT NEED ONE ARE SKIPPED.\n${reason}\n${line}\n\n`,
  );
  project.provide('controlPlane', { available: false, reason });
  return async () => {};
}
