import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LinkTls } from '#crds/link-tls.ts';
import { redisOptions } from '#crds/redis-options.ts';
import { parseRedisUrl } from '#crds/redis-url.ts';
import { readConfig as readOperatorConfig, databaseTls } from '#operator/config.ts';
import { createPool } from '#operator/postgres/pool.ts';
import { connectRedis as connectOperator } from '#operator/redis/connection.ts';
import { connectRedis as connectRelay, whenReady } from '#relay/redis/connection.ts';
import { certificateAuthority } from '#test/parts/certificate.ts';
import { eventually } from '#test/parts/eventually.ts';
import { freePort, freePorts } from '#test/parts/free-port.ts';
import { postgresUser } from '#test/parts/postgres-binaries.ts';
import { startPostgres, type PostgresServer } from '#test/parts/postgres.ts';
import { startRedis, startRedisProcess } from '#test/parts/redis.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';

/** The links to PostgreSQL and Redis over TLS: real servers that ask for a certificate of ours and speak no plaintext with us. */
const authority = certificateAuthority();
const stranger = certificateAuthority();
const server = authority.issue('server', 'DNS:db.internal');
const ours = authority.issue('operator');
const whole: LinkTls = { ca: authority.cert, cert: ours.cert, key: ours.key, servername: 'db.internal' };

const stack = new AsyncDisposableStack();
let files: string;
let postgres: PostgresServer;
let redisPort: number;

beforeAll(async () => {
  files = await writeFiles();
  postgres = stack.use(
    await startPostgres({
      settings: {
        ssl: 'on',
        ssl_cert_file: join(files, 'server.crt'),
        ssl_key_file: join(files, 'server.key'),
        ssl_ca_file: join(files, 'ca.crt'),
        hba_file: join(files, 'pg_hba.conf'),
      },
    }),
  );
  redisPort = await freePort();
  stack.use(await startRedis({ args: redisTlsArgs(redisPort) }));
});
afterAll(() => stack.disposeAsync());

/** Readable by the user that PostgreSQL runs as, the key by nobody else. */
async function writeFiles(): Promise<string> {
  const directory = stack.use(await temporaryDirectory('link-tls'));
  const folder = join(directory.path, 'files');
  await mkdir(folder, { mode: 0o755 });
  const contents = {
    'ca.crt': authority.cert,
    'server.crt': server.cert,
    'server.key': server.key,
    'ours.crt': ours.cert,
    'ours.key': ours.key,
    'pg_hba.conf': 'hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n',
  };
  const user = await postgresUser();
  for (const [name, text] of Object.entries(contents)) {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    if (user !== undefined) await chown(join(folder, name), user.uid, user.gid);
  }
  if (user !== undefined) for (const path of [directory.path, folder]) await chown(path, user.uid, user.gid);
  return folder;
}

/** A second port of redis-server, for TLS. It has the same certificate towards other servers. */
function redisTlsArgs(port: number): string[] {
  const [cert = '', key = '', ca = ''] = ['server.crt', 'server.key', 'ca.crt'].map((name) => join(files, name));
  return ['--tls-port', String(port), '--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', ca];
}

const without = (...names: (keyof LinkTls)[]): LinkTls =>
  Object.fromEntries(Object.entries(whole).filter(([name]) => !names.includes(name as keyof LinkTls)));

describe('PostgreSQL', () => {
  const asked = async (tls: LinkTls | undefined, url = postgres.url): Promise<pg.QueryResult> => {
    const pool = createPool({ url, tls, max: 1, onConnectionLost: () => undefined });
    try {
      return await pool.query('SELECT ssl, version, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    } finally {
      await pool.end();
    }
  };

  test('is reached over TLS with our certificate', async () => {
    const { rows } = await asked(whole);
    expect(rows).toEqual([{ ssl: true, version: 'TLSv1.3', client_dn: '/CN=operator' }]);
  });

  test('is reached by a name whose certificate is of another name, if that is the one which is asked for', async () => {
    const url = postgres.url.replace('127.0.0.1', 'localhost');
    expect((await asked(whole, url)).rows).toMatchObject([{ ssl: true }]);
    await expect(asked(without('servername'), url)).rejects.toThrow(/altnames/);
    await expect(asked({ ...whole, servername: 'other.internal' }, url)).rejects.toThrow(/altnames/);
  });

  test.each([
    ['plaintext', () => undefined, /no encryption/],
    ['without a certificate of ours', () => without('cert', 'key'), /client certificate/],
    [
      'whose certificate another authority signed',
      () => ({ ...whole, ca: stranger.cert }),
      /verify|self-signed|issuer|signature/,
    ],
    ['whose certificate nobody vouches for', () => without('ca'), /verify|self-signed|issuer|signature/],
    ['whose certificate is of another name', () => without('servername'), /altnames/],
    ['whose certificate is not of the name that is set', () => ({ ...whole, servername: 'x.internal' }), /altnames/],
  ])('is not reached: %s', async (_name, tls, message) => {
    await expect(asked(tls())).rejects.toThrow(message);
  });

  test('the settings of the operator name the files', async () => {
    const result = readOperatorConfig([], {
      KUBERNETES_SERVICE_HOST: '10.96.0.1',
      DATABASE_URL: postgres.url,
      DATABASE_TLS_CA_FILE: join(files, 'ca.crt'),
      DATABASE_TLS_CERT_FILE: join(files, 'ours.crt'),
      DATABASE_TLS_KEY_FILE: join(files, 'ours.key'),
      DATABASE_TLS_SERVER_NAME: 'db.internal',
      REDIS_URL: 'redis://redis',
      RELAY_PUBLIC_URL: 'https://relay.example.com',
      ENCRYPTION_KEYS: `k1:${Buffer.alloc(32).toString('base64')}`,
      DIRECTORY_KEYS: `k1:${Buffer.alloc(32).toString('base64')}`,
    });
    if (result.kind !== 'settings') throw new Error(result.text);
    expect((await asked(databaseTls(result.settings))).rows).toMatchObject([{ ssl: true }]);
  });
});

describe.each([
  ['operator', connectOperator],
  ['relay', connectRelay],
] as const)('Redis, from the %s', (_name, connect) => {
  const log = pino({ level: 'silent' });
  const url = (): string => `rediss://127.0.0.1:${redisPort}`;

  test('is reached over TLS with our certificate', async () => {
    const redis = connect({ url: url(), tls: whole, log, name: 'test' });
    try {
      await whenReady(redis, AbortSignal.timeout(5_000));
      expect(await redis.ping()).toBe('PONG');
    } finally {
      redis.disconnect();
    }
  });

  test.each([
    // In TLS 1.3 the server says so when the handshake is over here, and the reset of the connection may overtake it.
    ['without a certificate of ours', () => without('cert', 'key'), /certificate required|ECONNRESET|EPIPE/i],
    [
      'whose certificate another authority signed',
      () => ({ ...whole, ca: stranger.cert }),
      /verify|self-signed|issuer|signature/,
    ],
    ['whose certificate nobody vouches for', () => undefined, /verify|self-signed|issuer|signature/],
    ['whose certificate is of another name', () => without('servername'), /altnames/],
  ])('is not reached: %s', async (_case, tls, message) => {
    const redis = connect({ url: url(), tls: tls(), log, name: 'test' });
    const errors: string[] = [];
    redis.on('error', (error: Error) => errors.push(error.message));
    let reached = false;
    redis.on('ready', () => (reached = true));
    try {
      await eventually(() => errors.some((error) => message.test(error)), { describe: errors.join() });
      expect(reached).toBe(false);
    } finally {
      redis.disconnect();
    }
  });
});

describe.each([
  ['operator', connectOperator],
  ['relay', connectRelay],
] as const)('Redis in its other forms, from the %s', (_name, connect) => {
  const log = pino({ level: 'silent' });
  const answers = async (url: string): Promise<void> => {
    const redis = connect({ url, tls: whole, log, name: 'test' });
    try {
      await whenReady(redis, AbortSignal.timeout(10_000));
      expect(await redis.set('key', 'value')).toBe('OK');
    } finally {
      redis.disconnect();
    }
  };

  test('a Cluster whose nodes announce addresses, which their certificate does not name', async () => {
    const [port = 0, busPort = 0] = await freePorts(2);
    const args = [
      ...redisTlsArgs(port),
      '--cluster-enabled',
      'yes',
      '--cluster-port',
      String(busPort),
      '--tls-cluster',
      'yes',
      '--cluster-announce-ip',
      '127.0.0.1',
    ];
    await using node = await startRedis({ args });
    await node.command('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
    await eventually(async () => String(await node.command('CLUSTER', 'INFO')).includes('cluster_state:ok'));
    await answers(`rediss+cluster://127.0.0.1:${port}`);
  });

  test('a primary that Sentinel names, both over TLS', async () => {
    const port = await freePort();
    await using directory = await temporaryDirectory('sentinel-tls');
    const configuration = join(directory.path, 'sentinel.conf');
    await writeFile(configuration, `sentinel monitor main 127.0.0.1 ${redisPort} 1\n`);
    const args = [...redisTlsArgs(port), '--tls-replication', 'yes'];
    await using _sentinel = await startRedisProcess({ args }, [configuration, '--sentinel']);
    await answers(`rediss+sentinel://127.0.0.1:${port}/main`);
  });
});

test('every form of a Redis URL with TLS uses the settings, for sentinels too', () => {
  const input = { connectionName: 'test', commandTimeoutMs: 1_000, tls: whole };
  expect(redisOptions(parseRedisUrl('rediss://a'), input).options).toMatchObject({ tls: whole });
  const sentinel = redisOptions(parseRedisUrl('rediss+sentinel://a/main'), input);
  expect(sentinel.options).toMatchObject({ tls: whole, enableTLSForSentinelMode: true, sentinelTLS: whole });
  const cluster = redisOptions(parseRedisUrl('rediss+cluster://a,b'), input);
  expect(cluster.options).toMatchObject({ redisOptions: { tls: whole } });
  expect(redisOptions(parseRedisUrl('redis://a'), input).options).not.toHaveProperty('tls');
});
