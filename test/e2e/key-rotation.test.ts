import Pusher from 'pusher';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installFor, type Installation } from '#test/parts/installation.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { Tenant, type Declared, type HeldSecret } from '#test/parts/tenant.ts';

// Keys that rotate under a client that reads its Secret again, and imported ones that follow theirs. Long, because one installation is
// started for all of it.

const NAMESPACE = 'rotation';

type Credential = { readonly id: string; readonly state: string; readonly expiresAt?: string };
type Status = Declared['status'] & {
  readonly key?: string;
  readonly credentials?: readonly Credential[];
  readonly rotation?: { readonly last?: string; readonly next?: string };
  readonly handledRequests?: { readonly rotate?: string };
};

describeOnControlPlane('rotation of app keys', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  let installation: Installation;

  beforeAll(async () => {
    installation = await installFor(cluster, NAMESPACE, { operators: 1 });
  });

  afterAll(async () => {
    await installation?.[Symbol.asyncDispose]();
  });

  const statusOf = async (name: string): Promise<Status | undefined> => (await tenant.get('RelayApp', name))?.status;
  const states = (status: Status | undefined): string[] => (status?.credentials ?? []).map(({ state }) => state);
  const relayPort = (index: number): number => installation.relays[index]?.port ?? 0;

  /** One event by the unmodified SDK, as an application does that is configured by the Secret. 200, or the refusal. */
  const publish = ({ data }: Pick<HeldSecret, 'data'>, port: number): Promise<number> =>
    new Pusher({
      appId: data['PUSHER_APP_ID'] ?? '',
      key: data['PUSHER_APP_KEY'] ?? '',
      secret: data['PUSHER_APP_SECRET'] ?? '',
      host: '127.0.0.1',
      port: String(port),
      useTLS: false,
    })
      .trigger('orders', 'created', {})
      .then(
        ({ status }) => status,
        (error: { readonly status?: number }) => error.status ?? 0,
      );
  const secretOf = async (name: string): Promise<HeldSecret> => {
    const secret = await tenant.secret(name);
    if (secret === undefined) throw new Error(`there is no Secret ${name}`);
    return secret;
  };
  /** A socket with this key, and the code that it is closed with. */
  const socketWith = async (key: string) => {
    const socket = new WebSocket(`ws://127.0.0.1:${relayPort(0)}/app/${key}?protocol=7`);
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    await new Promise((resolve, reject) => socket.once('message', resolve).once('error', reject));
    return { closed, [Symbol.dispose]: () => socket.terminate() };
  };

  test('a client that reads its Secret again is never refused; the old key works through the overlap, and no longer', async () => {
    const rotation = { interval: '2160h', overlap: '30s', deadline: '30s' };
    await tenant.apply(tenant.app('checkout', { rotation }));
    await tenant.settled(1, 'relayapp');
    const before = await statusOf('checkout');
    expect(before?.rotation?.next).toMatch(/^\d{4}-/);
    expect(before?.rotation?.last).toBeUndefined();
    const old = await secretOf('checkout-relay');
    using socket = await socketWith(old.data['PUSHER_APP_KEY'] ?? '');

    // One relay that does not follow: nobody gets the new key.
    const [, lagging] = installation.relays;
    lagging?.process.signal('SIGSTOP');
    await tenant.kubectl('annotate', 'relayapp', 'checkout', 'relay-operator.dev/rotate=monday');
    const staged = await tenant.until('the next key waits in its Secret', () => tenant.secret('checkout-relay-next'));
    expect(staged.type).toBe('relay-operator.dev/app');
    expect(staged.data['PUSHER_APP_KEY']).not.toBe(old.data['PUSHER_APP_KEY']);
    await tenant.until('a relay lags, and the status says so', async () => {
      const status = await statusOf('checkout');
      const enforced = status?.conditions?.find(({ type }) => type === 'Enforced');
      return (
        enforced?.status !== 'True' && enforced?.message.includes(lagging?.id ?? '?') && states(status).length === 2
      );
    });
    expect(states(await statusOf('checkout'))).toEqual(['Active', 'Pending']);
    expect((await secretOf('checkout-relay')).data).toEqual(old.data);
    // The relay that does know it takes it already.
    expect(await publish(staged, relayPort(0))).toBe(200);

    lagging?.process.signal('SIGCONT');
    const refused: number[] = [];
    const rereads = async (): Promise<HeldSecret> => {
      const secret = await secretOf('checkout-relay');
      for (const port of [relayPort(0), relayPort(1)]) {
        const status = await publish(secret, port);
        if (status !== 200) refused.push(status);
      }
      return secret;
    };
    await tenant.until('the new key is handed out', async () => {
      const { data } = await rereads();
      return data['PUSHER_APP_KEY'] === staged.data['PUSHER_APP_KEY'];
    });
    const promoted = await tenant.until('the new key is the active one', async () => {
      const status = await statusOf('checkout');
      return states(status).join() === 'Retiring,Active' && status;
    });
    expect(promoted).toMatchObject({ key: staged.data['PUSHER_APP_KEY'], handledRequests: { rotate: 'monday' } });
    const end = Date.parse(promoted.credentials?.[0]?.expiresAt ?? '');
    expect(end - Date.parse(promoted.rotation?.last ?? '')).toBe(30_000);
    await tenant.until('what waited is gone', async () => (await tenant.secret('checkout-relay-next')) === undefined);

    // Both work until then, and not a moment longer.
    let last = 200;
    await tenant.until('the old key is refused', async () => {
      const asked = Date.now();
      await rereads();
      last = await publish(old, relayPort(1));
      if (Date.now() < end) expect(last).toBe(200);
      if (asked > end + 1_000) expect(last).toBe(401);
      return last === 401;
    });
    expect(await socket.closed).toBe(4009);
    expect(Date.now()).toBeGreaterThanOrEqual(end);
    expect(refused).toEqual([]);
    await tenant.until(
      'the old key is gone from the status',
      async () => states(await statusOf('checkout')).join() === 'Active',
    );
    await tenant.condition('RelayApp', 'checkout', 'Enforced', { status: 'True' });
    const object = await tenant.get('RelayApp', 'checkout');
    expect(object?.metadata.generation).toBe(1);
    expect(object?.spec).toEqual({ rotation });
  });

  test('rotates: Secret keeps the public key, so that sockets stay', async () => {
    await tenant.apply(tenant.app('browser', { rotation: { rotates: 'Secret', overlap: '5s', deadline: '5s' } }));
    await tenant.condition('RelayApp', 'browser', 'Enforced', { status: 'True' });
    const old = await secretOf('browser-relay');
    using socket = await socketWith(old.data['PUSHER_APP_KEY'] ?? '');
    await tenant.kubectl('annotate', 'relayapp', 'browser', 'relay-operator.dev/rotate=1');
    const rotated = await tenant.until('the secret is another one', async () => {
      const secret = await secretOf('browser-relay');
      return secret.data['PUSHER_APP_SECRET'] !== old.data['PUSHER_APP_SECRET'] && secret;
    });
    expect(rotated.data['PUSHER_APP_KEY']).toBe(old.data['PUSHER_APP_KEY']);
    await tenant.until('the old secret is refused', async () => (await publish(old, relayPort(0))) === 401);
    expect(await publish(rotated, relayPort(0))).toBe(200);
    expect(await Promise.race([socket.closed, Promise.resolve('open')])).toBe('open');
  });

  test('imported credentials are used as they are, followed as they change, and nobody else can have them', async () => {
    const imported = (secret: string): object => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'old-pusher', namespace: NAMESPACE, labels: { 'relay-operator.dev/referable': 'true' } },
      stringData: { app_id: '480192', key: '278d425bdf160c739803', secret },
    });
    const importFrom = { name: 'old-pusher', keys: { id: 'app_id' } };
    await tenant.apply(imported('7ad3773142a6692b25b8'), tenant.app('imported', { credentials: { importFrom } }));
    await tenant.condition('RelayApp', 'imported', 'Enforced', { status: 'True' });
    const old = await secretOf('imported-relay');
    expect(old.data).toMatchObject({ PUSHER_APP_ID: '480192', PUSHER_APP_SECRET: '7ad3773142a6692b25b8' });
    expect(await publish(old, relayPort(1))).toBe(200);

    await tenant.apply(imported('another1'));
    const changed = await tenant.until('the change is followed', async () => {
      const secret = await secretOf('imported-relay');
      return secret.data['PUSHER_APP_SECRET'] === 'another1' && secret;
    });
    for (const secret of [old, changed])
      for (const port of [relayPort(0), relayPort(1)]) expect(await publish(secret, port)).toBe(200);
    await tenant.until(
      'both are in the status',
      async () => states(await statusOf('imported')).join() === 'Retiring,Active',
    );

    await tenant.apply(tenant.app('thief', { credentials: { importFrom } }));
    const conflict = await tenant.condition('RelayApp', 'thief', 'Ready', { reason: 'Conflict' });
    expect(conflict.message).toContain('the app id of another app');
    expect(await publish(changed, relayPort(0))).toBe(200);
    await tenant.kubectl('delete', 'relayapp', 'thief', '--timeout=60s');
  });

  test.each([
    [{ rotation: { interval: '90d' } }, 'write 2160h instead of 90d'],
    [{ rotation: { interval: '59m' } }, 'interval must be at least 1h'],
    [{ rotation: { interval: '24h', overlap: '24h' } }, 'overlap must be shorter than interval'],
    [{ rotation: { overlap: '2160h' } }, 'overlap must be shorter than interval'],
    [{ rotation: { overlap: '2h', deadline: '1h' } }, 'deadline must not be shorter than overlap'],
    [{ rotation: { notify: ['not an address'] } }, 'must be a mail address'],
    [{ rotation: {}, credentials: { importFrom: { name: 'x' } } }, 'exclude each other'],
  ])('the API server refuses %j, and says what to write', async (spec, message) => {
    await expect(tenant.apply(tenant.app('wrong', spec))).rejects.toThrow(message);
  });
});
