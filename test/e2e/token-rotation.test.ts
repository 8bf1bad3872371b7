import { afterAll, beforeAll, expect, test } from 'vitest';
import { installFor, type Installation } from '#test/parts/installation.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { publish, Tenant } from '#test/parts/tenant.ts';
import { TestClient } from '../integration/relay/test-client.ts';

// The life of a bearer token as its user sees it: with kubectl, the Secret, and requests at every relay.

const NAMESPACE = 'rotating';
/** The deadline leaves no time beyond overlap and grace, whatever is known of its use. */
const SHORT = { overlap: '15s', grace: '15s', deadline: '30s' };

describeOnControlPlane('tokens that rotate', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  let installation: Installation;

  beforeAll(async () => {
    installation = await installFor(cluster, NAMESPACE);
  });
  afterAll(async () => {
    await installation?.[Symbol.asyncDispose]();
  });

  const created = async (name: string, spec: object = {}): Promise<{ appId: string; token: string }> => {
    await tenant.apply(tenant.app(name), tenant.token(name, name, spec));
    await tenant.condition('RelayApp', name, 'Enforced', { status: 'True' });
    await tenant.condition('RelayToken', name, 'Enforced', { status: 'True' });
    return {
      appId: await tenant.value(`${name}-relay`, 'PUSHER_APP_ID'),
      token: await tenant.value(`${name}-token`, 'RELAY_TOKEN'),
    };
  };
  const rotate = (name: string, value: string): Promise<string> =>
    tenant.kubectl('annotate', '--overwrite', 'relaytoken', name, `relay-operator.dev/rotate=${value}`);
  const refused = async (spec: object): Promise<string> => {
    const manifest = JSON.stringify(tenant.token('typo', 'careful', spec));
    const { code, stderr } = await cluster.kubectl(['apply', '-f', '-'], { input: manifest });
    expect(code).not.toBe(0);
    return stderr;
  };

  /** How each relay answers: its code, or by which headers it tells that the token was replaced. */
  const said = async (appId: string, token: string): Promise<readonly string[]> =>
    Promise.all(
      installation.relays.map(async ({ url }) => {
        const response = await fetch(`${url}/api/v1/apps/${appId}/channels`, {
          headers: { authorization: `Bearer ${token}` },
        });
        const body = (await response.json()) as { error?: { code: string } };
        if (body.error !== undefined) return body.error.code;
        if (response.headers.has('x-relay-token-grace-until')) return 'grace';
        return response.headers.get('x-relay-token-rotated') === 'true' ? 'rotated' : 'fine';
      }),
    );
  const everywhere = (appId: string, token: string, words: string): Promise<boolean> =>
    tenant.until(`every relay says ${words}`, async () =>
      (await said(appId, token)).every((answer) => answer === words),
    );

  test('rotated by annotation: who rereads the Secret is never refused; the old one works, is warned of, and ends', async () => {
    const { appId, token: old } = await created('careful', { rotation: SHORT });
    const ending = new AbortController();
    const refusals: string[] = [];
    let requests = 0;
    const careful = (async () => {
      while (!ending.signal.aborted) {
        const token = await tenant.value('careful-token', 'RELAY_TOKEN');
        for (const { url } of installation.relays) {
          const { status, body } = await publish(url, appId, { token });
          requests += 1;
          if (status !== 200) refusals.push(body);
        }
      }
    })();

    expect(await said(appId, old)).toEqual(['fine', 'fine']);
    await rotate('careful', 'monday');
    const token = await tenant.until('the Secret has another token', async () => {
      const value = await tenant.value('careful-token', 'RELAY_TOKEN');
      return value !== old && value;
    });
    // Whoever reads it at once is let in by every relay.
    expect(await said(appId, token)).toEqual(['fine', 'fine']);
    await everywhere(appId, old, 'rotated');
    await tenant.until('the status says so', async () => {
      const status = (await tenant.get('RelayToken', 'careful'))?.status as { credentials?: { state: string }[] };
      return status.credentials?.map(({ state }) => state).join() === 'Active,Retiring';
    });
    await everywhere(appId, old, 'grace');
    await everywhere(appId, old, 'token_expired');
    expect(await said(appId, token)).toEqual(['fine', 'fine']);
    ending.abort();
    await careful;
    expect({ refusals, asked: requests > 10 }).toEqual({ refusals: [], asked: true });
    await tenant.until(
      'what was staged is gone',
      async () => (await tenant.secret('careful-token-next')) === undefined,
    );
    expect((await tenant.get('RelayToken', 'careful'))?.status).toMatchObject({
      handledRequests: { rotate: 'monday' },
      rotation: { last: expect.any(String) as string, next: expect.any(String) as string },
    });
    const spec = (await tenant.get('RelayToken', 'careful'))?.spec;
    expect(spec).toEqual({ appRef: { name: 'careful' }, rotation: SHORT });

    // The same value again asks for nothing, also of a status that was lost.
    await rotate('careful', 'monday');
    await tenant.patch('relaytoken/careful', { metadata: { labels: { touched: 'yes' } } });
    await tenant.apply(tenant.app('barrier'));
    await tenant.condition('RelayApp', 'barrier', 'Enforced', { status: 'True' });
    expect(await tenant.value('careful-token', 'RELAY_TOKEN')).toBe(token);
  });

  test('revoked: after kubectl wait no relay takes it, and what it signed for is closed', async () => {
    const { appId, token } = await created('killed');
    const clients: TestClient[] = [];
    for (const { port, url } of installation.relays) {
      const client = await TestClient.connected(port, await tenant.value('killed-relay', 'PUSHER_APP_KEY'));
      clients.push(client);
      const response = await fetch(`${url}/api/v1/apps/${appId}/auth/channel`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ socket_id: client.socketId, channel_name: 'private-orders' }),
      });
      const { auth } = (await response.json()) as { auth: string };
      client.send({ event: 'pusher:subscribe', data: { channel: 'private-orders', auth } });
      await client.event('pusher_internal:subscription_succeeded', 'private-orders');
    }
    await tenant.patch('relaytoken/killed', { spec: { revoked: true } });
    await tenant.kubectl('wait', '--for=condition=Enforced', 'relaytoken/killed', '--timeout=60s');
    expect(await said(appId, token)).toEqual(['token_unknown', 'token_unknown']);
    expect(await Promise.all(clients.map((client) => client.closed()))).toEqual([4009, 4009]);
  });

  test('Secrets from a backup, the staged one included, bring nothing back', async () => {
    const { appId, token } = await created('restored', { rotation: SHORT });
    const { metadata, ...rest } = JSON.parse(await tenant.kubectl('get', 'secret', 'restored-token', '-o', 'json')) as {
      metadata: Record<string, unknown>;
    };
    const { resourceVersion: _version, uid: _uid, ...kept } = metadata;
    const backup = (name: string): string => JSON.stringify({ ...rest, metadata: { ...kept, name } });
    await tenant.patch('relaytoken/restored', { spec: { revoked: true } });
    await tenant.condition('RelayToken', 'restored', 'Enforced', { status: 'True' });
    await tenant.patch('relaytoken/restored', { spec: { revoked: false } });
    await tenant.condition('RelayToken', 'restored', 'Enforced', { status: 'True' });
    const second = await tenant.value('restored-token', 'RELAY_TOKEN');

    await cluster.kubectlOk(['create', '-f', '-'], { input: backup('restored-token-next') });
    await rotate('restored', 'monday');
    const third = await tenant.until('it rotates all the same', async () => {
      const value = await tenant.value('restored-token', 'RELAY_TOKEN');
      return value !== second && value;
    });
    expect(third).not.toBe(token);
    await tenant.until('it is not believed', async () => (await tenant.secret('restored-token-next')) === undefined);
    expect(await said(appId, token)).toEqual(['token_unknown', 'token_unknown']);
    expect(await said(appId, third)).toEqual(['fine', 'fine']);
  });

  test('mistakes are told with what to write', async () => {
    expect(await refused({ rotation: { interval: '90d' } })).toContain('write 2160h instead of 90d');
    expect(await refused({ rotation: { interval: '30m' } })).toContain('at least 1h');
    expect(await refused({ rotation: { overlap: '168h', interval: '24h' } })).toContain('overlap must be shorter');
    expect(await refused({ rotation: { overlap: '1h', grace: '24h', deadline: '2h' } })).toContain(
      'deadline must be at least overlap and grace together',
    );
    expect(await refused({ rotation: { mode: 'Never', grace: '1h' } })).toContain('mode Never excludes');
    expect(await refused({ rotation: { mode: 'Weekly' } })).toContain('spec.rotation.mode');
    expect(await refused({ rotation: { intervall: '2160h' } })).toContain('intervall');
  });
});
