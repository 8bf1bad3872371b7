import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { readyAt, startInstallation, type Installation, type OperatorProcess } from '#test/parts/installation.ts';
import { queryDatabase } from '#test/parts/postgres-database.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { publish, Tenant } from '#test/parts/tenant.ts';

// Objects come and go in every order that people and GitOps tools find, and none is ever wedged.

const NAMESPACE = 'comings';
const OTHER = 'goings';
const DOOMED = 'doomed';
const SYSTEM = 'comings-system';

describeOnControlPlane('lifecycle', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  const other = new Tenant(cluster, OTHER);
  let installation: Installation;

  beforeAll(async () => {
    await cluster.kubectlOk(['apply', '--server-side', '-f', 'crds/generated']);
    for (const name of [NAMESPACE, OTHER, DOOMED, SYSTEM]) await cluster.kubectlOk(['create', 'namespace', name]);
    installation = await startInstallation({
      kubeconfig: cluster.adminKubeconfig,
      namespace: SYSTEM,
      watchNamespaces: [NAMESPACE, OTHER, DOOMED],
    });
  });

  afterAll(async () => {
    await installation?.[Symbol.asyncDispose]();
  });

  const enforced = (kind: 'RelayApp' | 'RelayToken', name: string, of = tenant) =>
    of.condition(kind, name, 'Enforced', { status: 'True' });
  const ready = (kind: 'RelayApp' | 'RelayToken', name: string) =>
    tenant.condition(kind, name, 'Ready', { status: 'True' });
  const remove = (kind: string, name: string, of = tenant): Promise<string> =>
    of.kubectl('delete', kind, name, '--timeout=60s');
  const statuses = async (appId: string, credentials: Parameters<typeof publish>[2]): Promise<number[]> =>
    (await Promise.all(installation.relays.map(({ url }) => publish(url, appId, credentials)))).map(
      ({ status }) => status,
    );
  /** What kubectl says when it refuses. */
  const refusal = async (object: object, ...args: string[]): Promise<string> => {
    const manifest = JSON.stringify(object);
    const { code, stderr } = await cluster.kubectl(['apply', ...args, '-f', '-'], { input: manifest });
    expect(code).not.toBe(0);
    return stderr;
  };

  test('a token before its app waits, and is Ready by itself; an app deleted under it is missed, and made anew is found', async () => {
    await tenant.apply(tenant.token('early', 'late'));
    const { message } = await tenant.condition('RelayToken', 'early', 'Ready', { reason: 'AppNotFound' });
    expect(message).toBe(`no RelayApp late in namespace ${NAMESPACE}`);
    await tenant.condition('RelayToken', 'early', 'Reconciling', { status: 'True' });
    await tenant.apply(tenant.app('late'));
    await ready('RelayToken', 'early');
    await enforced('RelayToken', 'early');
    const appId = await tenant.value('late-relay', 'PUSHER_APP_ID');
    const token = await tenant.value('early-token', 'RELAY_TOKEN');
    expect(await statuses(appId, { token })).toEqual([200, 200]);

    await remove('relayapp', 'late');
    await tenant.condition('RelayToken', 'early', 'Ready', { status: 'False', reason: 'AppNotFound' });
    expect(await statuses(appId, { token })).toEqual([404, 404]);

    await tenant.apply(tenant.app('late'));
    await ready('RelayToken', 'early');
    await enforced('RelayToken', 'early');
    const next = await tenant.value('late-relay', 'PUSHER_APP_ID');
    expect(next).not.toBe(appId);
    expect(await tenant.value('early-token', 'RELAY_APP_ID')).toBe(next);
    const minted = await tenant.value('early-token', 'RELAY_TOKEN');
    expect(minted).not.toBe(token);
    expect(await statuses(next, { token: minted })).toEqual([200, 200]);
    expect(await statuses(next, { token })).toEqual([401, 401]);

    // A token whose app is gone can be deleted as well.
    await remove('relayapp', 'late');
    await remove('relaytoken', 'early');
    expect(await tenant.secret('early-token')).toBeUndefined();
  });

  test('a namespace with everything in it goes away', async () => {
    const doomed = new Tenant(cluster, DOOMED);
    await doomed.apply(
      ...['a', 'b', 'c'].flatMap((name) => [doomed.app(name, { deletionPolicy: 'Retain' }), doomed.token(name, name)]),
      doomed.token('waiting', 'nobody'),
    );
    await Promise.all(['a', 'b', 'c'].map((name) => enforced('RelayToken', name, doomed)));
    const appId = await doomed.value('a-relay', 'PUSHER_APP_ID');
    const token = await doomed.value('a-token', 'RELAY_TOKEN');
    expect(await statuses(appId, { token })).toEqual([200, 200]);
    await cluster.kubectlOk(['delete', 'namespace', DOOMED, '--timeout=120s']);
    expect(await statuses(appId, { token })).not.toContain(200);
  });

  test('enabled: false closes sockets and refuses requests; true again serves', async () => {
    await tenant.apply(tenant.app('switched'), tenant.token('switched', 'switched'));
    await enforced('RelayApp', 'switched');
    await enforced('RelayToken', 'switched');
    const appId = await tenant.value('switched-relay', 'PUSHER_APP_ID');
    const key = await tenant.value('switched-relay', 'PUSHER_APP_KEY');
    const token = await tenant.value('switched-token', 'RELAY_TOKEN');
    const sockets = await Promise.all(installation.relays.map(({ port }) => open(port, key)));
    await tenant.patch('relayapp/switched', { spec: { enabled: false } });
    expect(await Promise.all(sockets.map(({ closed }) => closed))).toEqual([4003, 4003]);
    await enforced('RelayApp', 'switched');
    await tenant.condition('RelayApp', 'switched', 'Ready', { status: 'True', reason: 'Disabled' });
    expect(await statuses(appId, { token })).toEqual([403, 403]);

    await tenant.patch('relayapp/switched', { spec: { enabled: true } });
    await tenant.condition('RelayApp', 'switched', 'Ready', { reason: 'Reconciled' });
    await enforced('RelayApp', 'switched');
    expect(await statuses(appId, { token })).toEqual([200, 200]);
    const again = await Promise.all(installation.relays.map(({ port }) => open(port, key)));
    for (const { socket } of again) socket.close();
  });

  test('appId takes back what was deleted, in its own namespace and name only', async () => {
    await tenant.apply(tenant.app('returning'));
    await enforced('RelayApp', 'returning');
    const before = await tenant.secret('returning-relay');
    const appId = before?.data['PUSHER_APP_ID'] ?? '';
    await remove('relayapp', 'returning');

    const thief = other.app('returning', { appId });
    await other.apply(thief);
    const { message } = await other.condition('RelayApp', 'returning', 'Ready', { reason: 'AppIdNotRetained' });
    expect(message).toBe(
      `no retained app of this namespace and name has the id ${appId}: delete this object and apply it without spec.appId to get a new one`,
    );
    expect(await other.secret('returning-relay')).toBeUndefined();
    await tenant.apply(tenant.app('namesake', { appId }));
    await tenant.condition('RelayApp', 'namesake', 'Ready', { reason: 'AppIdNotRetained' });

    await tenant.apply(tenant.app('returning', { appId }));
    await enforced('RelayApp', 'returning');
    expect((await tenant.secret('returning-relay'))?.data).toEqual(before?.data);
    const credentials = { key: before?.data['PUSHER_APP_KEY'] ?? '', secret: before?.data['PUSHER_APP_SECRET'] ?? '' };
    expect(await statuses(appId, credentials)).toEqual([200, 200]);

    // What never got anything can go as well.
    await remove('relayapp', 'returning', other);
    await remove('relayapp', 'namesake');
    expect(await statuses(appId, credentials)).toEqual([200, 200]);
  });

  test('what cannot be changed and what is misspelt is refused where it is typed', async () => {
    await tenant.apply(tenant.app('fixed'), tenant.token('fixed', 'fixed'));
    await enforced('RelayToken', 'fixed');
    expect(await refusal(tenant.app('fixed', { appId: '42' }))).toContain(
      'appId is immutable: delete the app and apply it again with the appId that it shall take back',
    );
    expect(await refusal(tenant.token('fixed', 'other'))).toContain(
      'appRef is immutable: a token belongs to one app for life; apply a second RelayToken for the other app',
    );
    expect(await refusal(tenant.token('fixed', 'fixed', { environment: 'Test' }))).toContain(
      'environment is immutable: apply a second RelayToken for the other environment',
    );
    expect(await refusal(tenant.app('typo', { enabld: false }), '--validate=strict')).toContain(
      'unknown field "spec.enabld"',
    );
    expect(await refusal(tenant.app('typo', { limits: { eventBytes: 0 } }))).toContain('spec.limits.eventBytes');
    expect(await refusal(tenant.app('typo', { appId: '0123' }))).toContain('spec.appId');
    expect(await refusal(tenant.token('typo', 'fixed', { expiresAt: 'tomorrow' }))).toContain('spec.expiresAt');
    expect(await tenant.get('RelayApp', 'typo')).toBeUndefined();
  });

  test('deleted and made anew while no operator runs: all of it is done when one does', async () => {
    await tenant.apply(
      tenant.app('gone', {}),
      tenant.token('gone', 'gone'),
      tenant.app('replaced', { deletionPolicy: 'Retain' }),
      tenant.token('replaced', 'replaced'),
    );
    for (const name of ['gone', 'replaced']) {
      await enforced('RelayApp', name);
      await enforced('RelayToken', name);
    }
    const token = await tenant.value('gone-token', 'RELAY_TOKEN');
    const appId = await tenant.value('gone-relay', 'PUSHER_APP_ID');
    const key = await tenant.value('replaced-relay', 'PUSHER_APP_KEY');
    for (const { process } of installation.operators) await process.stop();
    await tenant.kubectl('delete', 'relayapp,relaytoken', 'gone', '--wait=false');
    // Its finalizer torn off by hand, and applied again: the registry still has the app as Active, of another UID.
    await tenant.kubectl('delete', 'relayapp', 'replaced', '--wait=false');
    await tenant.patch('relayapp/replaced', { metadata: { finalizers: null } });
    await tenant.until('it is gone', async () => (await tenant.get('RelayApp', 'replaced')) === undefined);
    await tenant.until('its Secret is collected', async () => (await tenant.secret('replaced-relay')) === undefined);
    await tenant.apply(tenant.app('replaced', { deletionPolicy: 'Retain' }), tenant.token('fresh', 'replaced'));
    expect(await statuses(appId, { token })).toEqual([200, 200]);

    const { process, healthUrl } = await installation.startOperator('operator-2');
    await readyAt(`${healthUrl}/readyz`, process);
    await tenant.kubectl('wait', '--for=delete', 'relayapp/gone', 'relaytoken/gone', '--timeout=60s');
    expect(await statuses(appId, { token })).not.toContain(200);
    await enforced('RelayApp', 'replaced');
    await enforced('RelayToken', 'fresh');
    expect(await tenant.value('replaced-relay', 'PUSHER_APP_KEY')).toBe(key);
    expect(
      await queryDatabase(
        installation.databaseUrl,
        `SELECT count(*)::int AS apps, count(DISTINCT (namespace, name))::int AS names FROM app WHERE state = 'Active' AND name = 'replaced'`,
      ),
    ).toEqual([{ apps: 1, names: 1 }]);
  });

  test('a new key in ENCRYPTION_KEYS: once its log says so, the old one can go', async () => {
    const spec = { deletionPolicy: 'Retain' };
    await tenant.apply(tenant.app('sealed', spec));
    await enforced('RelayApp', 'sealed');
    const secret = await tenant.value('sealed-relay', 'PUSHER_APP_SECRET');
    const fresh = `e2:${randomBytes(32).toString('base64')}`;
    const restarted = async (name: string, keys: string): Promise<OperatorProcess> => {
      await Promise.all(installation.operators.map(({ process }) => process.stop()));
      return installation.startOperator(name, { ENCRYPTION_KEYS: keys });
    };
    const both = await restarted('operator-with-both', `${fresh},${installation.encryptionKeys}`);
    await both.process.waitForLine(/every secret in the database is encrypted with the first key/, 60_000);
    await restarted('operator-with-new', fresh);
    // What is published is made from what PostgreSQL holds: opened with the new key alone.
    await tenant.apply(tenant.app('sealed', { ...spec, limits: { connections: 7 } }));
    await enforced('RelayApp', 'sealed');
    expect(await tenant.value('sealed-relay', 'PUSHER_APP_SECRET')).toBe(secret);
    const [row] = await queryDatabase(
      installation.databaseUrl,
      `SELECT count(*)::int AS old FROM app_key WHERE secret LIKE 'v1.e1.%'`,
    );
    expect(row).toEqual({ old: 0 });
  });
});

async function open(port: number, key: string): Promise<{ socket: WebSocket; closed: Promise<number> }> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/app/${key}?protocol=7`);
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  await new Promise<void>((resolve, reject) => {
    socket.once('message', () => resolve());
    socket.once('error', reject);
    socket.once('close', (code) => reject(new Error(`closed with ${code}`)));
  });
  return { socket, closed };
}
