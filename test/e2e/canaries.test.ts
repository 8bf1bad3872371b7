import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { eventually } from '#test/parts/eventually.ts';
import { installFor, type Installation } from '#test/parts/installation.ts';
import { queryDatabase } from '#test/parts/postgres-database.ts';
import { redisCommand } from '#test/parts/redis.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { publish, Tenant } from '#test/parts/tenant.ts';

// No secret ever leaves: every credential that exists at some time of a whole life is looked for, in plain, base64 and hex, in everything
// that the product writes outside the Secrets: logs at debug level, objects, events, metrics, answers, Redis and PostgreSQL. Long, because it
// is one life.

const NAMESPACE = 'canary';
const SYSTEM = 'canary-system';
const PASSWORDS = {
  operator: 'Canary-redis-operator-7hQ2',
  relay: 'Canary-redis-relay-9kW4',
  postgres: 'Canary-pg-3mX8',
};
const ACL = [
  'user default on nopass ~* &* +@all',
  `user relay-operator on >${PASSWORDS.operator} ~* &* +@all`,
  `user relay on >${PASSWORDS.relay} ~* &* +@all`,
];

/** Values of Secrets that webhooks refer to: sent, changed, not labelled, and unusable as a header. */
const HEADERS = {
  sent: 'Bearer Canary-header-sent-4Jq8',
  changed: 'Bearer Canary-header-changed-2Zt5',
  private: 'Bearer Canary-header-private-8Lw1',
  unusable: 'Bearer Canary-header-unusable-6Rc3',
};

type Canary = { readonly what: string; readonly text: string };

describeOnControlPlane('canaries', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  let installation: Installation;
  let receiver: Receiver;

  beforeAll(async () => {
    installation = await installFor(cluster, NAMESPACE, {
      acl: ACL,
      operatorPassword: PASSWORDS.operator,
      relayPassword: PASSWORDS.relay,
      databasePassword: PASSWORDS.postgres,
      relayEnv: { RELAY_WEBHOOK_ALLOW: '127.0.0.1' },
    });
    receiver = await startReceiver();
  });

  afterAll(async () => {
    await installation?.[Symbol.asyncDispose]();
    await receiver?.[Symbol.asyncDispose]();
  });

  test('no credential is anywhere but in its Secret', async () => {
    const canaries: Canary[] = [
      ...Object.entries(PASSWORDS).map(([what, text]) => ({ what: `${what} password`, text })),
      ...Object.entries(HEADERS).map(([what, text]) => ({ what: `${what} header`, text })),
      ...installation.keyMaterial.map((text, index) => ({ what: `key ${index}`, text })),
    ];
    const places: { readonly where: string; readonly text: string }[] = [];
    const collect = async (): Promise<void> => {
      for (const { name, key } of [
        { name: 'shown-relay', key: 'PUSHER_APP_SECRET' },
        { name: 'shown-token', key: 'RELAY_TOKEN' },
        { name: 'again-token', key: 'RELAY_TOKEN' },
      ]) {
        const text = (await tenant.secret(name))?.data[key];
        if (text !== undefined && !canaries.some((canary) => canary.text === text))
          canaries.push({ what: `${name} ${key}`, text });
      }
    };
    const look = async (where: string, read: () => Promise<string>): Promise<void> => {
      places.push({ where, text: await read() });
    };
    const lookEverywhere = async (when: string): Promise<void> => {
      await look(`objects ${when}`, () =>
        tenant.kubectl('get', 'relayapp,relaytoken', '-o', 'yaml', '--show-managed-fields'),
      );
      await look(`events ${when}`, () => tenant.kubectl('get', 'events.events.k8s.io', '-o', 'yaml'));
      await look(`lease ${when}`, () => cluster.kubectlOk(['-n', SYSTEM, 'get', 'lease', '-o', 'yaml']));
      await look(`redis ${when}`, () => dumpRedis(installation.redis.url));
      await look(`postgres ${when}`, () => dumpPostgres(installation.databaseUrl));
      for (const { metricsUrl } of installation.operators)
        await look(`metrics of ${metricsUrl}`, async () => (await fetch(metricsUrl)).text());
      for (const { managementUrl } of installation.relays)
        await look(`metrics of ${managementUrl}`, async () => (await fetch(`${managementUrl}/metrics`)).text());
    };

    const headers = (name: string, value: string, labels: object): object => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace: NAMESPACE, labels },
      stringData: { Authorization: value },
    });
    const referable = { 'relay-operator.dev/referable': 'true' };
    await tenant.apply(
      headers('sent', HEADERS.sent, referable),
      headers('private', HEADERS.private, {}),
      headers('unusable', `${HEADERS.unusable}\nX-Second: 1`, referable),
    );
    const webhooks = ['sent', 'private', 'unusable'].map((name) => ({
      name,
      url: `${receiver.url}/${name}`,
      events: ['channel_occupied', 'channel_vacated', 'client_event'],
      headersFrom: { name },
    }));
    await tenant.apply(
      tenant.app('shown', { webhooks }),
      tenant.token('shown', 'shown'),
      tenant.token('again', 'shown', { scopes: ['events:publish'] }),
    );
    await tenant.settled(3);
    await tenant.condition('RelayApp', 'shown', 'Warning', { reason: 'HeadersInvalid,SecretNotReferable' });
    await collect();
    const appId = await tenant.value('shown-relay', 'PUSHER_APP_ID');
    const key = await tenant.value('shown-relay', 'PUSHER_APP_KEY');
    const secret = await tenant.value('shown-relay', 'PUSHER_APP_SECRET');
    const token = await tenant.value('shown-token', 'RELAY_TOKEN');
    // Accepted and refused requests of every kind.
    for (const { url } of installation.relays) {
      expect((await publish(url, appId, { token })).status).toBe(200);
      expect((await publish(url, appId, { key, secret })).status).toBe(200);
      const refused = [
        await publish(url, '1', { token }),
        await publish(url, appId, { key: 'wrong', secret }),
        await publish(url, appId, { token: `${token}x` }),
        await curl('-H', `Authorization: Bearer ${token}`, '-d', 'not json', `${url}/api/v1/apps/${appId}/events`),
        await curl(
          '-H',
          `Authorization: Bearer ${token}`,
          '-H',
          `X-Relay-Secret: ${secret}`,
          `${url}/api/v1/apps/${appId}/channels`,
        ),
        await curl('-H', `Authorization: Bearer ${token}`, `${url}/nowhere/${secret.slice(0, 3)}`),
      ];
      for (const [index, { body }] of refused.entries()) await look(`refusal ${index} of ${url}`, async () => body);
    }
    // The one webhook that has its headers is told, with them; the second answer makes it try again.
    receiver.status = 500;
    await subscribe(installation.relays[0]?.port ?? 0, key);
    await eventually(() => receiver.requests.length > 0, { timeout: 30_000, describe: 'a webhook is told' });
    expect(receiver.requests[0]).toEqual({ path: '/sent', authorization: HEADERS.sent });
    await lookEverywhere('while a webhook fails');
    receiver.status = 200;
    const failed = receiver.requests.length;
    await eventually(() => receiver.requests.length > failed, { timeout: 30_000, describe: 'it is tried again' });
    await lookEverywhere('at rest');

    // Lost, overwritten, revoked, refused, killed: every way that logs something unusual.
    await tenant.kubectl('delete', 'secret', 'again-token');
    await tenant.until('a new token is there', async () => {
      const value = (await tenant.secret('again-token'))?.data['RELAY_TOKEN'];
      return value !== undefined && !canaries.some(({ text }) => text === value);
    });
    await collect();
    await tenant.patch('secret/shown-relay', { stringData: { PUSHER_APP_SECRET: 'guess' } });
    await tenant.until('it is mended', async () => (await tenant.value('shown-relay', 'PUSHER_APP_SECRET')) === secret);
    const { revision = 0 } = (await tenant.get('RelayApp', 'shown'))?.status ?? {};
    await tenant.patch('secret/sent', { stringData: { Authorization: HEADERS.changed } });
    await tenant.until('the other header is published', async () => {
      const status = (await tenant.get('RelayApp', 'shown'))?.status;
      return (status?.revision ?? 0) > revision;
    });
    await tenant.patch('relaytoken/shown', { spec: { revoked: true } });
    await tenant.condition('RelayToken', 'shown', 'Enforced', { status: 'True' });
    for (const { url } of installation.relays)
      await look('answer to a revoked token', async () => (await publish(url, appId, { token })).body);
    await lookEverywhere('after a revocation');

    // Backends that go away and a Redis that no longer knows the passwords: errors with addresses in them.
    await installation.redis.restart();
    await tenant.patch('relaytoken/shown', { spec: { revoked: false } });
    await tenant.condition('RelayToken', 'shown', 'Ready', { status: 'True' });
    await tenant.condition('RelayToken', 'shown', 'Enforced', { status: 'True' });
    await collect();
    await installation.redis.command('ACL', 'SETUSER', 'relay-operator', 'resetpass', '>changed');
    await installation.redis.command('ACL', 'SETUSER', 'relay', 'resetpass', '>changed');
    await installation.redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    for (const { process } of installation.operators) await process.waitForLine(/WRONGPASS/);
    await lookEverywhere('at the end');
    for (const { process } of [...installation.operators, ...installation.relays]) {
      await process.stop();
      await look(`output of ${process.pid}`, async () => process.output());
    }

    expect(new Set(receiver.requests.map(({ path }) => path))).toEqual(new Set(['/sent']));

    // Control: the canaries are real ones, and the search finds what is there.
    expect(canaries.length).toBeGreaterThanOrEqual(13);
    const secrets = await tenant.kubectl('get', 'secret', '-o', 'yaml');
    expect(findings([{ where: 'Secrets', text: secrets }], canaries).length).toBeGreaterThanOrEqual(5);

    expect(places.length).toBeGreaterThan(30);
    expect(places.filter(({ text }) => text === '').map(({ where }) => where)).toEqual([]);
    expect(findings(places, canaries)).toEqual([]);
  });
});

type Receiver = AsyncDisposable & {
  readonly url: string;
  readonly requests: { readonly path: string; readonly authorization: string | undefined }[];
  /** What it answers. */
  status: number;
};

async function startReceiver(): Promise<Receiver> {
  const requests: Receiver['requests'] = [];
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      requests.push({ path: request.url ?? '', authorization: request.headers.authorization });
      response.writeHead(receiver.status).end();
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}`,
    requests,
    status: 200,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return receiver;
}

/** Occupies a channel, and leaves it. */
async function subscribe(port: number, key: string): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/app/${key}?protocol=7`);
  const heard: string[] = [];
  socket.on('message', (data) => {
    if (data instanceof Buffer) heard.push(data.toString());
  });
  const event = (name: string): Promise<boolean> => eventually(() => heard.some((text) => text.includes(name)));
  await event('pusher:connection_established');
  socket.send(JSON.stringify({ event: 'pusher:subscribe', data: { channel: 'lobby' } }));
  await event('pusher_internal:subscription_succeeded');
  socket.close();
  await once(socket, 'close');
}

/** Where a canary is, without saying it once more. */
function findings(places: readonly { where: string; text: string }[], canaries: readonly Canary[]): string[] {
  return places.flatMap(({ where, text }) =>
    canaries.flatMap(({ what, text: canary }) =>
      formsOf(canary).flatMap(({ form, text: wanted }) => {
        const at = text.indexOf(wanted);
        return at < 0 ? [] : [`${what} in ${form} in ${where}: ${text.slice(Math.max(0, at - 60), at)}…`];
      }),
    ),
  );
}

/** Base64 of a text has another form at each of three offsets; what is common to all is what lies between. */
function formsOf(text: string): { form: string; text: string }[] {
  const base64 = [0, 1, 2].map((offset) => {
    const encoded = Buffer.from(`${'-'.repeat(offset)}${text}`)
      .toString('base64')
      .replace(/=+$/, '');
    return { form: `base64 at ${offset}`, text: encoded.slice(offset === 0 ? 0 : 4, -3) };
  });
  const bytes = Buffer.from(text);
  const key = /^[A-Za-z0-9+/]{43}=$/.test(text)
    ? [{ form: 'hex of its bytes', text: Buffer.from(text, 'base64').toString('hex') }]
    : [];
  return [
    { form: 'plain', text },
    { form: 'percent-encoding', text: encodeURIComponent(text) },
    ...base64,
    { form: 'hex', text: bytes.toString('hex') },
    ...key,
  ];
}

async function curl(...args: string[]): Promise<{ body: string }> {
  const { stdout } = await promisify(execFile)('curl', ['-sS', '-i', ...args]);
  return { body: stdout };
}

/** Every key with its value, whatever its type. */
async function dumpRedis(url: string): Promise<string> {
  const keys = (await redisCommand(url, 'KEYS', '*')) as string[];
  const dumped = await Promise.all(
    keys.map(async (key) => {
      const type = (await redisCommand(url, 'TYPE', key)) as string;
      const read: Record<string, string[]> = {
        string: ['GET', key],
        hash: ['HGETALL', key],
        stream: ['XRANGE', key, '-', '+'],
        set: ['SMEMBERS', key],
        zset: ['ZRANGE', key, '0', '-1', 'WITHSCORES'],
        list: ['LRANGE', key, '0', '-1'],
      };
      const [name = 'GET', ...args] = read[type] ?? ['GET', key];
      return `${key} ${type} ${JSON.stringify(await redisCommand(url, name, ...args))}`;
    }),
  );
  if (dumped.length === 0) throw new Error('nothing in Redis');
  return dumped.join('\n');
}

/** Every row of every table. */
async function dumpPostgres(url: string): Promise<string> {
  const tables = await queryDatabase(url, `SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`);
  const dumped = await Promise.all(
    tables.map(async ({ tablename }) =>
      JSON.stringify(
        await queryDatabase(url, `SELECT row_to_json(row)::text AS text FROM "${String(tablename)}" AS row`),
      ),
    ),
  );
  return dumped.join('\n');
}
