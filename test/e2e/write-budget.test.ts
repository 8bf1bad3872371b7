import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApiWrites, total } from '#test/parts/api-writes.ts';
import { eventually } from '#test/parts/eventually.ts';
import { readyAt, installFor, type Installation } from '#test/parts/installation.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { Tenant } from '#test/parts/tenant.ts';

// What this operator costs an API server. Client certificates: certificate-write-budget.test.ts.

const NAMESPACE = 'budget';
const APPS = 10;
const TOKENS = 10;

describeOnControlPlane('the write budget', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  let installation: Installation;

  beforeAll(async () => {
    installation = await installFor(cluster, NAMESPACE);
    await tenant.apply(tenant.app('warm-up'), tenant.token('warm-up', 'warm-up'));
    await tenant.settled(2);
  });

  afterAll(async () => {
    await installation?.[Symbol.asyncDispose]();
  });

  const writes = new ApiWrites(() => installation);

  /** Everything that is to be at rest: its version, which every write would change. */
  const versions = async (): Promise<readonly string[]> =>
    (await tenant.list('relayapp,relaytoken,secret,event'))
      .filter(({ metadata }) => !metadata.name.startsWith('barrier'))
      .map(({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.resourceVersion}`)
      .toSorted();

  /**
   * An app that comes and goes: what was to be done before it is done afterwards.
   */
  const barrier = async (): Promise<void> => {
    await tenant.apply(tenant.app('barrier'));
    await tenant.condition('RelayApp', 'barrier', 'Enforced', { status: 'True' });
    await tenant.kubectl('delete', 'relayapp', 'barrier', '--timeout=60s');
  };

  const revisionOf = async (name: string): Promise<number> =>
    (await tenant.get('RelayApp', name))?.status?.revision ?? 0;
  const enforcedAfter = (name: string, revision: number): Promise<boolean> =>
    tenant.until(`${name} is enforced at a later revision`, async () => {
      const status = (await tenant.get('RelayApp', name))?.status;
      const enforced = status?.conditions?.find(({ type }) => type === 'Enforced');
      return (status?.revision ?? 0) > revision && enforced?.status === 'True';
    });

  test('a RelayApp, a RelayToken: three writes to create, two to delete', async () => {
    const names = ['one', 'two', 'three', 'four', 'five'];
    const settle = async (object: object, kind: 'RelayApp' | 'RelayToken', name: string): Promise<void> => {
      await tenant.apply(object);
      await tenant.condition(kind, name, 'Enforced', { status: 'True' });
    };
    const remove = (kind: string) => (name: string) => tenant.kubectl('delete', kind, name, '--timeout=60s');
    const app = await writes.middle(names, (name) => settle(tenant.app(name), 'RelayApp', name));
    const token = await writes.middle(names, (name) => settle(tenant.token(name, name), 'RelayToken', name));
    const removedToken = await writes.middle(names, remove('relaytoken'));
    const removedApp = await writes.middle(names, remove('relayapp'));
    console.log('writes', JSON.stringify({ app, token, removedToken, removedApp }));
    expect(app).toEqual({ 'PATCH relayapps': 2, 'PATCH secrets': 1 });
    expect(token).toEqual({ 'PATCH relaytokens': 2, 'PATCH secrets': 1 });
    expect(removedToken).toEqual({ 'DELETE secrets': 1, 'PATCH relaytokens': 1 });
    expect(removedApp).toEqual({ 'DELETE secrets': 1, 'PATCH relayapps': 1 });
    // Slow as the machine may be, some relay answers while a status waits for it.
    const early = (await writes.early()).reduce((sum, { count }) => sum + count, 0);
    console.log(`of ${2 * names.length} statuses ${early} were written early`);
    expect(early).toBeLessThan(2 * names.length);
  });

  test('many at once, tokens before their apps: the Secret once, and the waiting is said once', async () => {
    const before = await writes.soFar();
    const names = Array.from({ length: TOKENS - 1 }, (_, index) => `many-${index}`);
    await tenant.apply(...names.map((name) => tenant.token(name, name)), ...names.map((name) => tenant.app(name)));
    await tenant.settled(APPS + TOKENS);
    const spent = await writes.since(before);
    console.log(`writes to create ${2 * names.length} objects at once: ${JSON.stringify(spent)} = ${total(spent)}`);
    expect(spent['PATCH secrets']).toBe(2 * names.length);
    // The finalizer, and one status.
    expect(spent['PATCH relayapps']).toBeLessThanOrEqual(2 * names.length);
    // The same, and AppNotFound and AppNotReady before.
    expect(spent['PATCH relaytokens']).toBeLessThanOrEqual(4 * names.length);
    expect(Object.keys(spent).toSorted()).toEqual(['PATCH relayapps', 'PATCH relaytokens', 'PATCH secrets']);
  });

  test('at rest nothing is written: not for others, not for relays that come and go, not for a new leader', async () => {
    const atRest = await versions();
    expect(atRest).toHaveLength(2 * (APPS + TOKENS));

    await barrier();
    expect(await versions()).toEqual(atRest);

    // Scaling up and down.
    const third = await installation.startRelay('relay-2');
    await readyAt(`${third.managementUrl}/readyz`, third.process);
    await barrier();
    await third.process.stop();
    await barrier();
    expect(await versions()).toEqual(atRest);

    // A rollout of the operator: the new leader looks at every object.
    const former = writes.running();
    const fresh = [await installation.startOperator('operator-2'), await installation.startOperator('operator-3')];
    await Promise.all(fresh.map(({ process, healthUrl }) => readyAt(`${healthUrl}/readyz`, process)));
    for (const { process } of former) await process.stop();
    await eventually(
      async () => {
        const lines = await writes.metrics();
        const count = (kind: string): number =>
          lines
            .filter((line) => line.startsWith('controller_runtime_reconcile_total') && line.includes(`"${kind}"`))
            .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
        return count('relayapp') >= APPS && count('relaytoken') >= TOKENS;
      },
      { timeout: 60_000, interval: 200, describe: 'the new leader has reconciled every object' },
    );
    expect(await writes.soFar()).toEqual({});
    await barrier();
    expect(await versions()).toEqual(atRest);
    console.log(`writes for ${APPS + TOKENS} objects at rest, over two scalings and a new leader: 0`);
  });

  test('the Secret of a webhook: one write for each edit, however many webhooks refer to it, and none for others', async () => {
    const names = ['many-0', 'many-1', 'many-2', 'many-3', 'many-4'];
    const secret = (name: string, value: string): object => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: `headers-${name}`, namespace: NAMESPACE, labels: { 'relay-operator.dev/referable': 'true' } },
      stringData: { 'X-One': value },
    });
    const webhooks = (name: string): object[] =>
      ['first', 'second'].map((hook) => ({
        name: hook,
        url: 'https://example.com/',
        events: ['cache_miss'],
        headersFrom: { name: `headers-${name}` },
      }));
    for (const name of names) {
      await tenant.apply(secret(name, '1'));
      const revision = await revisionOf(name);
      await tenant.patch(`relayapp/${name}`, { spec: { webhooks: webhooks(name) } });
      await enforcedAfter(name, revision);
    }
    const edited = await writes.middle(names, async (name) => {
      const revision = await revisionOf(name);
      await tenant.apply(secret(name, '2'));
      await enforcedAfter(name, revision);
    });
    const before = await writes.soFar();
    await tenant.kubectl('annotate', 'secret', ...names.map((name) => `headers-${name}`), 'example.com/note=theirs');
    await tenant.apply({ ...secret('nobodys', '1') });
    await barrier();
    const noted = await writes.since(before);
    console.log('writes', JSON.stringify({ edited, noted }));
    expect(edited).toEqual({ 'PATCH relayapps': 1 });
    // The barrier's own.
    expect(total(noted)).toBeLessThanOrEqual(6);
    expect(Object.keys(noted).toSorted()).toEqual(['DELETE secrets', 'PATCH relayapps', 'PATCH secrets']);
  });

  test('a rotation of an app’s keys: staged, handed out, put away, an event and one status; one status when the old one ends', async () => {
    const names = ['many-0', 'many-1', 'many-2', 'many-3', 'many-4'];
    const reaches = (name: string, wanted: string): Promise<boolean> =>
      tenant.until(`the keys of ${name} are ${wanted}`, async () => {
        const status = (await tenant.get('RelayApp', name))?.status as
          | { readonly credentials?: readonly { readonly state: string }[] }
          | undefined;
        return (status?.credentials ?? []).map(({ state }) => state).join() === wanted;
      });
    for (const name of names) {
      await tenant.patch(`relayapp/${name}`, { spec: { rotation: { overlap: '60s', deadline: '60s' } } });
      await tenant.condition('RelayApp', name, 'Enforced', { status: 'True' });
    }
    const rotated = await writes.middle(names, async (name) => {
      await tenant.kubectl('annotate', 'relayapp', name, 'relay-operator.dev/rotate=now');
      await reaches(name, 'Retiring,Active');
      await tenant.condition('RelayApp', name, 'Enforced', { status: 'True' });
    });
    const revisions = new Map<string, number>();
    for (const name of names) revisions.set(name, await revisionOf(name));
    const before = await writes.soFar();
    for (const name of names) {
      await reaches(name, 'Active');
      await enforcedAfter(name, revisions.get(name) ?? 0);
    }
    const ended = await writes.since(before);
    console.log('writes', JSON.stringify({ rotated, ended }));
    const { 'PATCH events': events = 0, ...others } = rotated;
    expect(others).toEqual({ 'POST secrets': 1, 'PATCH secrets': 1, 'DELETE secrets': 1, 'PATCH relayapps': 1 });
    expect(events).toBeLessThanOrEqual(1);
    expect(ended).toEqual({ 'PATCH relayapps': names.length });
  });

  test('the scopes of a token: one write for each edit, and no new token', async () => {
    const names = ['many-0', 'many-1', 'many-2', 'many-3', 'many-4'];
    const cost = await writes.middle(names, async (name) => {
      await tenant.patch(`relaytoken/${name}`, { spec: { scopes: ['events:publish'] } });
      await tenant.condition('RelayToken', name, 'Enforced', { status: 'True' });
    });
    console.log('writes', JSON.stringify({ scopes: cost }));
    expect(cost).toEqual({ 'PATCH relaytokens': 1 });
  });

  test('a rotation of a token: staged, handed out, put away, an event and one status', async () => {
    const names = ['many-0', 'many-1', 'many-2', 'many-3', 'many-4'];
    const cost = await writes.middle(names, async (name) => {
      const token = await tenant.value(`${name}-token`, 'RELAY_TOKEN');
      await tenant.kubectl('annotate', 'relaytoken', name, 'relay-operator.dev/rotate=now');
      await tenant.until(
        'it has another token',
        async () => (await tenant.value(`${name}-token`, 'RELAY_TOKEN')) !== token,
      );
      await tenant.until('its status says so', async () => {
        const status = (await tenant.get('RelayToken', name))?.status as { handledRequests?: { rotate?: string } };
        return status.handledRequests?.rotate === 'now';
      });
      await tenant.condition('RelayToken', name, 'Enforced', { status: 'True' });
    });
    console.log('writes', JSON.stringify({ rotation: cost }));
    const { 'PATCH events': events = 0, ...others } = cost;
    expect(others).toEqual({ 'POST secrets': 1, 'PATCH secrets': 1, 'DELETE secrets': 1, 'PATCH relaytokens': 1 });
    expect(events).toBeLessThanOrEqual(1);
  });
});
