import { worldObjectsContract } from './world-objects.ts';
import { worldSecretsContract } from './world-secrets.ts';
import type { WorldUnderTest } from './world-under-test.ts';

export type { WorldUnderTest } from './world-under-test.ts';

/** What every World promises its reconcilers (operator/world). Runs against a folder and against a cluster. */
export function worldContract(create: () => Promise<WorldUnderTest>): void {
  worldObjectsContract(create);
  worldSecretsContract(create);
}
