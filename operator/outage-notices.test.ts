import { pino } from 'pino';
import { expect, test } from 'vitest';
import { FINALIZER, ROTATE_ANNOTATION } from '#crds/api-group.ts';
import type { RelayToken } from '#crds/relay-token.ts';
import type { Condition, ObjectMeta } from '#crds/resource.ts';
import { FakeClock } from '#test/parts/fake-clock.ts';
import { BackendGate } from './engine/backend-gate.ts';
import { TransientError } from './engine/errors.ts';
import { tellOutages, type OutageNoticesOptions } from './outage-notices.ts';
import { outageConditions } from './reconcile/outage-notice.ts';
import type { Change } from './world/world.ts';

const NOW = Date.UTC(2026, 0, 1);
const ready: Condition = {
  type: 'Ready',
  status: 'True',
  reason: 'Reconciled',
  message: 'token a is published',
  observedGeneration: 1,
  lastTransitionTime: '2025-12-01T00:00:00Z',
};
const token = (
  name: string,
  metadata: Partial<ObjectMeta> = {},
  status: RelayToken['status'] = { observedGeneration: 1, tokenId: 'a', conditions: [ready] },
): RelayToken => ({
  apiVersion: 'relay-operator.dev/v1alpha1',
  kind: 'RelayToken',
  metadata: { namespace: 'shop', name, uid: `uid-${name}`, generation: 1, finalizers: [FINALIZER], ...metadata },
  spec: { appRef: { name: 'checkout' } },
  ...(status === undefined ? {} : { status }),
});
const gone = { deletionTimestamp: '2026-01-01T00:00:00Z' };
const asked = { annotations: { [ROTATE_ANNOTATION]: 'monday' } };
const DatabaseUnavailable = { status: 'True', reason: 'DatabaseUnavailable' };

test.for<[string, RelayToken, readonly object[] | undefined]>([
  ['untouched', token('ci'), undefined],
  [
    'edited',
    token('ci', { generation: 2 }),
    [ready, { ...DatabaseUnavailable, type: 'Reconciling', observedGeneration: 2 }],
  ],
  [
    'new: kubectl get shows why',
    { ...token('ci'), status: {} },
    [
      { type: 'Ready', status: 'False', reason: 'DatabaseUnavailable' },
      { ...DatabaseUnavailable, type: 'Reconciling' },
    ],
  ],
  ['deleted', token('ci', gone), [ready, { ...DatabaseUnavailable, type: 'Reconciling' }]],
  ['deleted, and held by somebody else', token('ci', { ...gone, finalizers: ['other'] }), undefined],
  ['asked to rotate', token('ci', asked), [ready, { ...DatabaseUnavailable, type: 'Reconciling' }]],
  [
    'rotated, as was asked',
    token('ci', asked, { observedGeneration: 1, conditions: [ready], handledRequests: { rotate: 'monday' } }),
    undefined,
  ],
  [
    'revoked, of which the status names no request',
    token('ci', asked, { observedGeneration: 1, conditions: [{ ...ready, status: 'False', reason: 'Revoked' }] }),
    undefined,
  ],
])('an object that is %s', ([, object, expected]) => {
  const conditions = outageConditions(object, NOW);
  if (expected === undefined) expect(conditions).toBeUndefined();
  else expect(conditions).toMatchObject(expected);
  // Said once.
  const said = { ...object, status: { ...object.status, conditions } } as RelayToken;
  if (conditions !== undefined) expect(outageConditions(said, NOW + 1_000)).toBeUndefined();
});

/** A world of tokens, whose statuses can be written, and a gate. */
function outage(...tokens: RelayToken[]) {
  const clock = new FakeClock(NOW);
  const held = new Map(tokens.map((each) => [each.metadata.name, each]));
  const writes: string[] = [];
  const listeners = new Set<(change: Change) => void>();
  const put = (object: RelayToken): void => {
    const { namespace, name } = object.metadata;
    held.set(name, object);
    for (const listener of listeners)
      listener({ kind: 'RelayToken', ref: { namespace, name }, deleting: false, initial: false });
  };
  const none = { get: () => undefined, addFinalizer: never, removeFinalizer: never, writeStatus: never };
  const world: OutageNoticesOptions['world'] = {
    apps: none,
    certificates: none,
    tokens: {
      ...none,
      get: ({ name }) => held.get(name),
      writeStatus: async (object, status) => {
        writes.push(object.metadata.name);
        put({ ...object, status });
      },
    },
    refs: (kind) => (kind === 'RelayToken' ? [...held.values()].map(({ metadata }) => metadata) : []),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  let back = false;
  const log = pino({ level: 'silent' });
  const probe = (): Promise<void> => (back ? Promise.resolve() : Promise.reject(new Error('away')));
  const gate = new BackendGate({ name: 'postgres', probe, clock, random: () => 0.5, log });
  const stop = new AbortController();
  const running = Promise.all([gate.run(stop.signal), tellOutages({ world, gate, clock, log }, stop.signal)]);
  return {
    clock,
    writes,
    put,
    away: () => {
      back = false;
      gate.close(new TransientError('PostgresUnavailable', 'away', { backend: 'postgres' }));
    },
    returns: () => (back = true),
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}
const never = (): Promise<never> => Promise.reject(new Error('not asked for'));

test('each that waits is told once in an outage, those that nobody touched are not', async () => {
  const { clock, writes, put, away, returns, stop } = outage(token('old'), token('edited', { generation: 2 }));
  await clock.advance(60_000);
  away();
  await clock.advance(4_900);
  expect(writes).toEqual([]);
  await clock.advance(200);
  expect(writes).toEqual(['edited']);
  put(token('edited-later', { generation: 2 }));
  put(token('other'));
  await clock.advance(600_000);
  expect(writes).toEqual(['edited', 'edited-later']);
  returns();
  await clock.advance(60_000);
  put(token('edited', { generation: 3 }));
  await clock.advance(60_000);
  expect(writes).toEqual(['edited', 'edited-later']);
  away();
  await clock.advance(10_000);
  expect(writes.toSorted()).toEqual(['edited', 'edited', 'edited-later']);
  await stop();
});

test('an outage of a few seconds is not told of', async () => {
  const { clock, writes, away, returns, stop } = outage(token('edited', { generation: 2 }));
  await clock.advance(1_000);
  away();
  returns();
  await clock.advance(60_000);
  expect(writes).toEqual([]);
  await stop();
});
