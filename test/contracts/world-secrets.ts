import { expect, test } from 'vitest';
import { APP_SECRET_TYPE, MANAGED_LABEL, REFERABLE_LABEL } from '#crds/api-group.ts';
import type { Change } from '#operator/world/world.ts';
import { eventually } from '#test/parts/eventually.ts';
import { app, conflict, refOf, secretOf, type WorldUnderTest } from './world-under-test.ts';

/** What every World promises of Secrets: those that it writes, and those that objects refer to. */
export function worldSecretsContract(create: () => Promise<WorldUnderTest>): void {
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
}
