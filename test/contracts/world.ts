import { expect, test } from 'vitest';
import { APP_SECRET_TYPE, FINALIZER, MANAGED_LABEL, REFERABLE_LABEL } from '#crds/api-group.ts';
import type { RelayApp } from '#crds/relay-app.ts';
import { TransientError } from '#operator/engine/errors.ts';
import type { ObjectRef } from '#operator/world/object-ref.ts';
import type { DesiredSecret } from '#operator/world/secrets.ts';
import type { Change, World } from '#operator/world/world.ts';
import { eventually } from '#test/parts/eventually.ts';

/** A world that is empty, and the hands of the people who use it. */
export type WorldUnderTest = AsyncDisposable & {
  readonly world: World;
  /** A namespace that nothing else uses. */
  readonly namespace: string;
  /** Creates or changes the object, as a person does with a manifest. */
  declare(kind: Change['kind'], name: string, spec: object): Promise<void>;
  /** Asks for the deletion of the object; finalizers are honoured. */
  withdraw(kind: Change['kind'], name: string): Promise<void>;
  /** Writes a Secret that carries none of our labels and has no owner. */
  writeSecret(name: string, data: Readonly<Record<string, string>>): Promise<void>;
  /** Creates or changes a Secret for objects to refer to, as a person does with a manifest; `referable`: with the label for that. */
  declareSecret(name: string, data: Readonly<Record<string, string>>, referable: boolean): Promise<void>;
  withdrawSecret(name: string): Promise<void>;
  /** Changes one value of a Secret that we wrote. */
  editSecret(name: string, key: string, value: string): Promise<void>;
  deleteSecret(name: string): Promise<void>;
};

/** What every World promises its reconcilers (operator/world). Runs against a folder and against a cluster. */
export function worldContract(create: () => Promise<WorldUnderTest>): void {
  const app = async (under: WorldUnderTest, name = 'shop', spec: object = {}): Promise<RelayApp> => {
    await under.declare('RelayApp', name, spec);
    return eventually(() => under.world.apps.get({ namespace: under.namespace, name }));
  };
  const refOf = ({ metadata: { namespace, name } }: RelayApp): ObjectRef => ({ namespace, name });
  const again = (under: WorldUnderTest, object: RelayApp): RelayApp | undefined => under.world.apps.get(refOf(object));
  const secretOf = (object: RelayApp, data: DesiredSecret['data'] = { KEY: 'value' }): DesiredSecret => ({
    namespace: object.metadata.namespace,
    name: `${object.metadata.name}-relay`,
    type: APP_SECRET_TYPE,
    labels: { [MANAGED_LABEL]: 'true' },
    annotations: { note: 'ours' },
    owner: { kind: 'RelayApp', name: object.metadata.name, uid: object.metadata.uid },
    data,
  });
  const conflict = (error: unknown): boolean => error instanceof TransientError && error.quiet;

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

  test('a Secret that a client certificate refers to is another look at it', async () => {
    await using under = await create();
    const { namespace } = under;
    const certificate = { secretRef: { name: 'partner' } };
    await under.declare('ClientCertificate', 'partner', { appRef: { name: 'shop' }, certificate });
    await eventually(() => under.world.certificates.get({ namespace, name: 'partner' }));
    const changes: Change[] = [];
    const stop = under.world.subscribe((change) => {
      if (!change.initial && change.ref.namespace === namespace) changes.push(change);
    });
    const told = { kind: 'ClientCertificate', ref: { namespace, name: 'partner' }, deleting: false, initial: false };
    await under.declareSecret('partner', { 'tls.crt': 'one' }, true);
    await eventually(() => changes.length > 0);
    expect(changes.splice(0)[0]).toEqual(told);
    await under.declareSecret('partner', { 'tls.crt': 'two' }, true);
    await eventually(() => changes.length > 0);
    expect(changes[0]).toEqual(told);
    stop();
  });

  test('what cert-manager may do is known: it is there, or it says why not', async () => {
    await using under = await create();
    const state = under.world.certManager.state();
    expect(state).toMatchObject({ kind: 'missing', message: expect.stringContaining('cert-manager') as string });
    const ref = { namespace: under.namespace, name: 'billing' };
    expect(under.world.certManager.find(ref)).toBeUndefined();
    expect(await under.world.certManager.look(ref)).toBeUndefined();
  });

  test('a Secret is stored whole, found by its owner, and replaced without what is no longer wanted', async () => {
    await using under = await create();
    const object = await app(under);
    const { secrets } = under.world;
    const odd = `it's "quoted" $HOME \\ \`x\`\nsecond line`;
    await secrets.apply(secretOf(object, { OLD: '1', ODD: odd }));
    const first = await secrets.read(secretOf(object));
    expect(first).toMatchObject({ type: APP_SECRET_TYPE, data: { OLD: '1', ODD: odd }, annotations: { note: 'ours' } });
    expect(first?.owner).toEqual(secretOf(object).owner);
    expect(secrets.ownedBy(object.metadata.uid)).toEqual([first]);
    await secrets.apply(secretOf(object, { NEW: '2' }));
    const second = await secrets.readLive(secretOf(object));
    expect(second).toMatchObject({ uid: first?.uid, data: { NEW: '2' } });
    expect(Object.keys(second?.data ?? {})).toEqual(['NEW']);
  });

  test("somebody else's Secret is seen and never changed", async () => {
    await using under = await create();
    const object = await app(under);
    const { secrets } = under.world;
    await under.writeSecret('shop-relay', { MINE: '1' });
    const found = await eventually(() => secrets.read(secretOf(object)));
    expect(found).toMatchObject({ data: { MINE: '1' } });
    expect(found.owner).toBeUndefined();
    await expect(secrets.apply(secretOf(object))).rejects.toSatisfy(conflict);
    expect((await secrets.readLive(secretOf(object)))?.data).toEqual({ MINE: '1' });
  });

  test('of two objects that ask for one Secret at once, one gets it and the other is refused', async () => {
    await using under = await create();
    const [one, two] = [await app(under, 'one'), await app(under, 'two')];
    const asked = [one, two].map((object) => ({ ...secretOf(object), name: 'shared' }));
    const results = await Promise.allSettled(asked.map((desired) => under.world.secrets.apply(desired)));
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toSatisfy(conflict);
    const winner = results[0]?.status === 'fulfilled' ? one : two;
    const stored = await under.world.secrets.readLive({ namespace: under.namespace, name: 'shared' });
    expect(stored?.owner?.uid).toBe(winner.metadata.uid);
  });

  test('a Secret that is only created changes none that is there, not even an own one', async () => {
    await using under = await create();
    const object = await app(under);
    const { secrets } = under.world;
    const staged = { ...secretOf(object, { KEY: 'first' }), name: 'shop-relay-next' };
    const results = await Promise.allSettled([
      secrets.create(staged),
      secrets.create({ ...staged, data: { KEY: 'second' } }),
    ]);
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toSatisfy(conflict);
    const stored = await secrets.readLive(staged);
    expect(stored).toMatchObject({ type: APP_SECRET_TYPE, owner: staged.owner });
    await expect(secrets.create({ ...staged, data: { KEY: 'third' } })).rejects.toSatisfy(conflict);
    expect((await secrets.readLive(staged))?.data).toEqual(stored?.data);
    await under.writeSecret('theirs', { MINE: '1' });
    await expect(secrets.create({ ...staged, name: 'theirs' })).rejects.toSatisfy(conflict);
    expect((await secrets.readLive({ ...staged, name: 'theirs' }))?.data).toEqual({ MINE: '1' });
  });

  test('replacing a Secret asks for the one that was seen, in the state that was seen', async () => {
    await using under = await create();
    const object = await app(under);
    const { secrets } = under.world;
    await secrets.apply(secretOf(object, { KEY: 'first' }));
    const seen = await secrets.readLive(secretOf(object));
    if (seen === undefined) throw new Error('the Secret was not stored');
    await secrets.replace(seen, secretOf(object, { KEY: 'second' }));
    await expect(secrets.replace(seen, secretOf(object, { KEY: 'third' }))).rejects.toSatisfy(conflict);
    const second = await secrets.readLive(secretOf(object));
    expect(second?.data).toEqual({ KEY: 'second' });
    if (second === undefined) return;
    await under.editSecret('shop-relay', 'KEY', 'edited');
    await expect(secrets.replace(second, secretOf(object, { KEY: 'third' }))).rejects.toSatisfy(conflict);
    expect((await secrets.readLive(secretOf(object)))?.data).toEqual({ KEY: 'edited' });
    await secrets.delete(second);
    await expect(secrets.replace(second, secretOf(object, { KEY: 'third' }))).rejects.toSatisfy(conflict);
    expect(await secrets.readLive(secretOf(object))).toBeUndefined();
  });

  test('deleting a Secret asks for the one that was seen; an absent one is a success', async () => {
    await using under = await create();
    const object = await app(under);
    const { secrets } = under.world;
    await secrets.apply(secretOf(object));
    const seen = await secrets.readLive(secretOf(object));
    if (seen === undefined) throw new Error('the Secret was not stored');
    await expect(secrets.delete({ ...seen, uid: '00000000-0000-4000-8000-000000000000' })).rejects.toSatisfy(conflict);
    expect(await secrets.readLive(seen)).toBeDefined();
    await secrets.delete(seen);
    expect(await secrets.readLive(seen)).toBeUndefined();
    expect(secrets.ownedBy(object.metadata.uid)).toEqual([]);
    await secrets.delete(seen);
  });

  test('a Secret that somebody edits or deletes is another look at its owner', async () => {
    await using under = await create();
    const object = await app(under);
    const { secrets } = under.world;
    await secrets.apply(secretOf(object));
    const changes: Change[] = [];
    const stop = under.world.subscribe((change) => {
      if (!change.initial && change.ref.namespace === under.namespace) changes.push(change);
    });
    const told = { kind: 'RelayApp', ref: refOf(object), deleting: false, initial: false };
    await under.editSecret('shop-relay', 'KEY', 'edited');
    await eventually(() => changes.length > 0);
    expect(changes[0]).toEqual(told);
    expect((await secrets.read(secretOf(object)))?.data).toEqual({ KEY: 'edited' });
    await secrets.apply(secretOf(object));
    expect((await secrets.read(secretOf(object)))?.data).toEqual({ KEY: 'value' });
    changes.length = 0;
    await under.deleteSecret('shop-relay');
    await eventually(async () => changes.length > 0 && (await secrets.read(secretOf(object))) === undefined);
    expect(changes.at(-1)).toEqual(told);
    stop();
  });

  test('a Secret may be referred to only with the label for that, and never one of ours', async () => {
    await using under = await create();
    const { namespace } = under;
    const { secrets } = under.world;
    const read = (name: string) => secrets.readReferenced({ namespace, name });
    expect(await read('headers')).toEqual({ kind: 'absent' });
    await under.declareSecret('headers', { 'X-One': '1' }, false);
    await eventually(async () => (await read('headers')).kind === 'notReferable');
    await under.declareSecret('headers', { 'X-One': '2' }, true);
    const found = await eventually(async () => {
      const secret = await read('headers');
      return secret.kind === 'referable' && secret;
    });
    expect(found.data).toEqual({ 'X-One': '2' });
    await under.declareSecret('headers', { 'X-One': '2' }, false);
    await eventually(async () => (await read('headers')).kind === 'notReferable');
    await under.withdrawSecret('headers');
    await eventually(async () => (await read('headers')).kind === 'absent');

    const object = await app(under);
    const labels = { [MANAGED_LABEL]: 'true', [REFERABLE_LABEL]: 'true' };
    await secrets.apply({ ...secretOf(object), labels });
    expect(await read('shop-relay')).toEqual({ kind: 'ours' });
  });

  test('a Secret that an app refers to: that it comes, changes, loses its label or goes is another look at the app', async () => {
    await using under = await create();
    const { namespace } = under;
    const webhooks = (name: string) => [
      { name: 'hook', url: 'https://example.com', events: ['client_event'], headersFrom: { name } },
    ];
    const object = await app(under, 'shop', { webhooks: webhooks('headers') });
    await app(under, 'other', { webhooks: webhooks('others') });
    const changes: Change[] = [];
    const stop = under.world.subscribe((change) => {
      if (!change.initial && change.ref.namespace === namespace) changes.push(change);
    });
    const told = { kind: 'RelayApp', ref: refOf(object), deleting: false, initial: false };
    const seen = async (kind: string, value?: string): Promise<void> => {
      await eventually(async () => {
        const secret = await under.world.secrets.readReferenced({ namespace, name: 'headers' });
        const same = secret.kind === 'referable' ? secret.data['X-One'] === value : value === undefined;
        return secret.kind === kind && same && changes.length > 0;
      });
      expect(new Set(changes.splice(0).map((change) => JSON.stringify(change)))).toEqual(
        new Set([JSON.stringify(told)]),
      );
    };
    await under.declareSecret('headers', { 'X-One': '1' }, true);
    await seen('referable', '1');
    await under.declareSecret('headers', { 'X-One': '2' }, true);
    await seen('referable', '2');
    await under.declareSecret('headers', { 'X-One': '2' }, false);
    await seen('notReferable');
    await under.declareSecret('headers', { 'X-One': '2' }, true);
    await seen('referable', '2');
    await under.withdrawSecret('headers');
    await seen('absent');
    stop();
  });

  test('the Secrets of an object go with it', async () => {
    await using under = await create();
    const object = await app(under);
    await under.world.secrets.apply(secretOf(object));
    await under.withdraw('RelayApp', 'shop');
    await eventually(async () => (await under.world.secrets.readLive(secretOf(object))) === undefined, {
      // A cluster's garbage collector takes its time.
      timeout: 60_000,
    });
  });
}
