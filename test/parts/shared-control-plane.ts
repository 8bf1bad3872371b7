import { describe, inject, test } from 'vitest';
import { clusterAccess } from './cluster-access.ts';
import type { ClusterAccess, CommandOptions } from './cluster-access.ts';
import type { ProvidedControlPlanes } from './control-plane-setup.ts';
import { runProcess } from './process.ts';
import type { Finished } from './process.ts';
import { currentLane } from './lanes.ts';

export type SharedControlPlane = ClusterAccess & {
  /** Runs Helm, by default as the administrator. A non-zero exit is a result, not an error. */
  helm(args: readonly string[], options?: CommandOptions): Promise<Finished>;
};

/**
 * A `describe` for tests on the control plane of their lane. It is theirs alone while they run, and other files' afterwards: use a namespace
 * of your own. If there is no control plane, the suite is reported as skipped, with the reason, and `body` is not called.
 */
export function describeOnControlPlane(name: string, body: (controlPlane: SharedControlPlane) => void): void {
  const provided: ProvidedControlPlanes = inject('controlPlanes');
  if (!provided.available) {
    describe.skipIf(true)(name, () => {
      test(`needs a control plane: ${provided.reason}`, () => {});
    });
    return;
  }
  const { helmPath, ofLanes } = provided;
  const address = ofLanes[currentLane() - 1];
  if (address === undefined) throw new Error(`no control plane was started for lane ${currentLane()}`);
  const { directory, adminKubeconfig } = address;
  const helm: SharedControlPlane['helm'] = (args, { input, kubeconfig = adminKubeconfig } = {}) =>
    runProcess(
      { command: helmPath, args: ['--kubeconfig', kubeconfig, ...args], env: { HOME: directory } },
      input === undefined ? {} : { input },
    );
  describe(name, () => {
    body({ ...clusterAccess(address), helm });
  });
}
