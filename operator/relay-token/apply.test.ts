import { expect, test } from 'vitest';
import { Secret } from '#crds/keyring.ts';
import type { RelayToken } from '#crds/relay-token.ts';
import { TransientError } from '../engine/errors.ts';
import type { MintToken } from '../registry/token-registry.ts';
import type { DesiredSecret, StoredSecret } from '../world/secrets.ts';
import { applyTokenStep, type TokenSinks } from './apply.ts';
import type { TokenStep } from './step.ts';

// Whoever looks at the object sees that a Secret was refused, whichever write it was, and nothing of what was to be written.

const TOKEN = 'rly_live_nnnnnnnnnnbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb3pUq80';
const object: RelayToken = {
  apiVersion: 'relay-operator.dev/v1alpha1',
  kind: 'RelayToken',
  metadata: { namespace: 'shop', name: 'ci', uid: 'uid-1', generation: 1 },
  spec: { appRef: { name: 'checkout' } },
};
const mint: MintToken = {
  appId: '480192',
  environment: 'Live',
  policy: { scopes: null, rate: null },
  state: 'Active',
  expiresAt: null,
  at: 0,
  rotateRequest: null,
  retire: [],
  revoke: [],
};
const secret: DesiredSecret = {
  namespace: 'shop',
  name: 'ci-token',
  type: 'relay-operator.dev/token',
  labels: {},
  annotations: {},
  owner: { kind: 'RelayToken', name: 'ci', uid: 'uid-1' },
  data: { RELAY_TOKEN: TOKEN },
};
const over: StoredSecret = { ...secret, uid: 's-1', resourceVersion: '1' };

/** Every write ends like that. Returns the events, once the step was thrown out of. */
async function refused(step: TokenStep, error: TransientError): Promise<readonly string[]> {
  const events: string[] = [];
  const refuse = (): Promise<never> => Promise.reject(error);
  const none = (): Promise<void> => Promise.resolve();
  const sinks: TokenSinks = {
    tokens: { get: () => object, addFinalizer: none, removeFinalizer: none, writeStatus: none },
    secrets: {
      ownedBy: () => [],
      read: () => Promise.resolve(undefined),
      readLive: () => Promise.resolve(undefined),
      readReferenced: () => Promise.resolve({ kind: 'absent' }),
      apply: refuse,
      create: refuse,
      replace: refuse,
      delete: none,
    },
    registry: {
      mintToken: () => Promise.resolve(new Secret(TOKEN)),
      promoteToken: none,
      setTokenEnd: none,
      expireTokens: none,
      recordRotateRequest: none,
      setTokenPolicy: none,
      revokeTokens: none,
      announce: none,
    },
    recorder: { event: (_, type, reason, message) => void events.push(`${type} ${reason}: ${message}`) },
    relayUrl: 'https://relay.example.com',
  };
  await expect(applyTokenStep(sinks, object, step)).rejects.toBe(error);
  return events;
}

const writes: readonly (readonly [TokenStep, string])[] = [
  [{ do: 'MintToken', mint, lost: null }, 'ci-token'],
  [{ do: 'StageToken', mint: { ...mint, state: 'Pending' } }, 'ci-token-next'],
  [{ do: 'HandOut', over, secret }, 'ci-token'],
  [{ do: 'MintToken', mint, lost: null, over }, 'ci-token'],
  [{ do: 'ApplySecret', secret }, 'ci-token'],
  [{ do: 'ReplaceSecret', seen: over, secret }, 'ci-token'],
];

test.each(writes)('a Secret that is refused is told of: %o', async (step, name) => {
  const quota = new TransientError('Forbidden', `exceeded quota, at ${TOKEN}`);
  expect(await refused(step, quota)).toEqual([
    `Warning SecretNotWritten: Secret ${name} could not be written: Forbidden`,
  ]);
});

test.each(writes)('a race that was lost is not: %o', async (step) => {
  expect(await refused(step, new TransientError('Conflict', 'it has changed', { quiet: true }))).toEqual([]);
});
