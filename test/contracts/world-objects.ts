import { expect, test } from 'vitest';
import { FINALIZER } from '#crds/api-group.ts';
import type { Change } from '#operator/world/world.ts';
import { eventually } from '#test/parts/eventually.ts';
import { again, app, conflict, refOf, type WorldUnderTest } from './world-under-test.ts';

/** What every World promises of objects: versions, finalizers, statuses, who is told. */
export function worldObjectsContract(create: () => Promise<WorldUnderTest>): void {
  test('a new object has a uid and generation 1; only a change of its spec counts the generation up', async () => {
    await using under = await create();
    const first = await app(under, 'shop', { displayName: 'one' });
    expect(first.metadata).toMatchObject({ name: 'shop', namespace: under.namespace, generation: 1 });
    expect(first.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    await under.world.apps.addFinalizer(first);
    expect(again(under, first)?.metadata).toMatchObject({ uid: first.metadata.uid, generation: 1 });
    await under.declare('RelayApp', 'shop', { displayName: 'two' });
    const changed = await eventually(() => {
      const found = again(under, first);
      return found?.spec.displayName === 'two' && found;
    });
    expect(changed.metadata).toMatchObject({ uid: first.metadata.uid, generation: 2, finalizers: [FINALIZER] });
  });

  test('every write is visible to the next get', async () => {
    await using under = await create();
    const seen = await app(under);
    await under.world.apps.addFinalizer(seen);
    const held = again(under, seen);
    expect(held?.metadata.finalizers).toEqual([FINALIZER]);
    if (held === undefined) return;
    await under.world.apps.writeStatus(held, { observedGeneration: 1, appId: '17' });
    expect(again(under, seen)?.status).toEqual({ observedGeneration: 1, appId: '17' });
  });

  test('a status is replaced, not merged', async () => {
    await using under = await create();
    const seen = await app(under);
    await under.world.apps.writeStatus(seen, { observedGeneration: 1, appId: '17' });
    await under.world.apps.writeStatus(again(under, seen) ?? seen, { observedGeneration: 1, key: 'abc' });
    expect(again(under, seen)?.status).toEqual({ observedGeneration: 1, key: 'abc' });
  });

  test('a write by somebody who saw an older version is a conflict, and changes nothing', async () => {
    await using under = await create();
    const seen = await app(under);
    await under.world.apps.writeStatus(seen, { observedGeneration: 1, appId: '17' });
    const current = again(under, seen);
    await expect(under.world.apps.writeStatus(seen, { observedGeneration: 1 })).rejects.toSatisfy(conflict);
    await expect(under.world.apps.addFinalizer(seen)).rejects.toSatisfy(conflict);
    expect(again(under, seen)).toEqual(current);
  });

  test('a write to an object that was replaced by another of its name is a conflict', async () => {
    await using under = await create();
    const seen = await app(under);
    await under.withdraw('RelayApp', 'shop');
    await eventually(() => again(under, seen) === undefined);
    const next = await app(under);
    expect(next.metadata.uid).not.toBe(seen.metadata.uid);
    await expect(under.world.apps.writeStatus(seen, { observedGeneration: 1 })).rejects.toSatisfy(conflict);
    expect(again(under, seen)?.status).toBeUndefined();
  });

  test('a deleted object stays, marked, until our finalizer is removed', async () => {
    await using under = await create();
    await under.world.apps.addFinalizer(await app(under));
    await under.withdraw('RelayApp', 'shop');
    const marked = await eventually(() => {
      const found = under.world.apps.get({ namespace: under.namespace, name: 'shop' });
      return found?.metadata.deletionTimestamp !== undefined && found;
    });
    expect(marked.metadata.generation).toBeGreaterThanOrEqual(1);
    await under.world.apps.removeFinalizer(marked);
    expect(again(under, marked)).toBeUndefined();
  });

  test('a subscriber is told of what is there, and then of every change', async () => {
    await using under = await create();
    const seen = await app(under);
    const changes: Change[] = [];
    const stop = under.world.subscribe((change) => {
      if (change.ref.namespace === under.namespace) changes.push(change);
    });
    const ref = refOf(seen);
    expect(changes).toEqual([{ kind: 'RelayApp', ref, deleting: false, initial: true }]);
    await under.world.apps.addFinalizer(seen);
    await under.declare('RelayApp', 'shop', { displayName: 'two' });
    await eventually(() => again(under, seen)?.metadata.generation === 2);
    await eventually(() => changes.some(({ initial, deleting }) => !initial && !deleting));
    await under.withdraw('RelayApp', 'shop');
    await eventually(() => changes.some(({ deleting }) => deleting));
    stop();
    const told = changes.length;
    await app(under, 'other');
    expect(changes.length).toBe(told);
  });

  test('refs, tokensOf and certificatesOf find by kind and by app, also an app that is not there', async () => {
    await using under = await create();
    await app(under);
    await under.declare('RelayToken', 'ci', { appRef: { name: 'shop' } });
    await under.declare('RelayToken', 'early', { appRef: { name: 'later' } });
    const fingerprint = { sha256: 'ab'.repeat(32) };
    await under.declare('ClientCertificate', 'billing', { appRef: { name: 'shop' }, fingerprint });
    await under.declare('ClientCertificate', 'partner', { appRef: { name: 'later' }, fingerprint });
    const { namespace } = under;
    await eventually(() => under.world.tokensOf({ namespace, name: 'later' }).length === 1);
    await eventually(() => under.world.tokensOf({ namespace, name: 'shop' }).length === 1);
    expect(under.world.tokensOf({ namespace, name: 'shop' })).toEqual([{ namespace, name: 'ci' }]);
    await eventually(() => under.world.certificatesOf({ namespace, name: 'later' }).length === 1);
    await eventually(() => under.world.certificatesOf({ namespace, name: 'shop' }).length === 1);
    expect(under.world.certificatesOf({ namespace, name: 'shop' })).toEqual([{ namespace, name: 'billing' }]);
    const mine = (kind: Change['kind']) => under.world.refs(kind).filter((ref) => ref.namespace === namespace);
    expect(mine('RelayApp')).toEqual([{ namespace, name: 'shop' }]);
    expect(
      mine('RelayToken')
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['ci', 'early']);
    expect(
      mine('ClientCertificate')
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['billing', 'partner']);
  });

  test('a client certificate is an object like any other: finalizer, status, deletion', async () => {
    await using under = await create();
    const { namespace, world } = under;
    const ref = { namespace, name: 'billing' };
    await under.declare('ClientCertificate', 'billing', {
      appRef: { name: 'shop' },
      fingerprint: { sha256: 'ab'.repeat(32) },
    });
    const seen = await eventually(() => world.certificates.get(ref));
    await world.certificates.addFinalizer(seen);
    const status = {
      observedGeneration: 1,
      fingerprints: [{ sha256: 'ab'.repeat(32), state: 'Active' as const, notAfter: '2027-01-01T00:00:00Z' }],
    };
    await world.certificates.writeStatus(world.certificates.get(ref) ?? seen, status);
    expect(world.certificates.get(ref)?.status).toEqual(status);
    await under.withdraw('ClientCertificate', 'billing');
    const marked = await eventually(() => {
      const found = world.certificates.get(ref);
      return found?.metadata.deletionTimestamp !== undefined && found;
    });
    await world.certificates.removeFinalizer(marked);
    expect(world.certificates.get(ref)).toBeUndefined();
  });

  test('what cert-manager may do is known: it is there, or it says why not', async () => {
    await using under = await create();
    const state = under.world.certManager.state();
    expect(state).toMatchObject({ kind: 'missing', message: expect.stringContaining('cert-manager') as string });
    const ref = { namespace: under.namespace, name: 'billing' };
    expect(under.world.certManager.find(ref)).toBeUndefined();
    expect(await under.world.certManager.look(ref)).toBeUndefined();
  });
}
