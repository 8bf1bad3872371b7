import type { TestProject } from 'vitest/node';
import type { ClusterAddress } from './cluster-access.ts';
import { helmBinary } from './control-plane-binaries.ts';
import { startControlPlane } from './control-plane.ts';
import { LANES } from './lanes.ts';

/** What the test files get to know of this run's control planes: how to reach that of each lane, or why there are none. */
export type ProvidedControlPlanes =
  | { readonly available: true; readonly ofLanes: readonly ClusterAddress[]; readonly helmPath: string }
  | { readonly available: false; readonly reason: string };

declare module 'vitest' {
  // oxlint-disable-next-line typescript/consistent-type-definitions -- vitest's interface is merged with this one
  interface ProvidedContext {
    /** See shared-control-plane.ts. */
    controlPlanes: ProvidedControlPlanes;
  }
}

/**
 * vitest globalSetup: a control plane for each lane of a run, so that a file has it to itself while it runs. Where none can be had, tests
 * that need one are skipped with the reason, and with CI set the run fails.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await using stack = new AsyncDisposableStack();
  try {
    const starting = Array.from({ length: LANES }, () => startControlPlane());
    stack.defer(async () => {
      for (const one of await Promise.allSettled(starting)) {
        if (one.status === 'fulfilled') await one.value[Symbol.asyncDispose]();
      }
    });
    const [helmPath, started] = await Promise.all([helmBinary(), Promise.all(starting)]);
    const ofLanes = started.map(({ url, ca, adminKubeconfig, kubectlPath, directory }) => ({
      url,
      ca,
      adminKubeconfig,
      kubectlPath,
      directory,
    }));
    project.provide('controlPlanes', { available: true, ofLanes, helmPath });
  } catch (error) {
    return withoutControlPlane(project, error);
  }
  const owned = stack.move();
  return () => owned.disposeAsync();
}

function withoutControlPlane(project: TestProject, error: unknown): () => Promise<void> {
  if (process.env['CI'] !== undefined && process.env['CI'] !== '') throw error;
  const reason = error instanceof Error ? error.message : String(error);
  const line = '!'.repeat(100);
  process.stderr.write(
    `\n${line}\nNO KUBERNETES CONTROL PLANE: ALL TESTS THAT NEED ONE ARE SKIPPED.\n${reason}\n${line}\n\n`,
  );
  project.provide('controlPlanes', { available: false, reason });
  return async () => {};
}
