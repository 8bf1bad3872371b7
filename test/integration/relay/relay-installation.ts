import { randomBytes } from 'node:crypto';
import Pusher from 'pusher';
import { appEntryKey, tokenEntryKey, type EntryChange } from '#crds/directory/entry-body.ts';
import { seal } from '#crds/sealed.ts';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import { eventually } from '#test/parts/eventually.ts';
import { freePorts } from '#test/parts/free-port.ts';
import { migratedDatabase } from '#test/parts/migrated-database.ts';
import { startProcess, type RunningProcess } from '#test/parts/process.ts';
import { startRedis, type RedisServer } from '#test/parts/redis.ts';
import { documentedUsers, withUser } from '#test/parts/redis-users.ts';
import { keyring, KEYS, startOperator, type RunningOperator } from '../directory/installation.ts';

type AppBody = Exclude<Extract<EntryChange, { key: `app/${string}` }>['body'], null>;

/** An app as tests declare it: every app has one key, `{appId}key`, with the secret `{appId}secret`, unless they say otherwise. */
export type AppFields = {
  readonly appId: string;
  readonly key?: string;
  readonly secret?: string;
  readonly enabled?: boolean;
  readonly access?: AppBody['access'];
  readonly limits?: Partial<AppBody['limits']>;
  readonly channels?: Partial<AppBody['channels']>;
  readonly webhooks?: AppBody['webhooks'];
};

export type RelayProcess = AsyncDisposable & {
  readonly process: RunningProcess;
  readonly port: number;
  readonly metricsPort: number;
};

/** Relays as they are deployed: processes, real Redis with the documented users, entries from a real publisher over PostgreSQL. */
export type RelayInstallation = AsyncDisposable & {
  readonly databaseUrl: string;
  readonly redis: RedisServer;
  readonly operator: RunningOperator;
  /** Starts a relay and does not wait until it is ready. It is stopped with the installation. */
  launch(id: string, env?: Readonly<Record<string, string>>): Promise<RelayProcess>;
  /** Waits until these are ready; from then on what is published is waited for. */
  ready(...relays: readonly RelayProcess[]): Promise<void>;
  /** Starts relays, waits until each is ready. */
  relays(...ids: string[]): Promise<RelayProcess[]>;
  /** Publishes the app; resolves when every relay that serves has it. */
  app(fields: AppFields): Promise<void>;
  /** Publishes a bearer token of the app; resolves to it when every relay has it. */
  token(appId: string, scopes?: readonly string[]): Promise<string>;
};

/** @param redisArgs more arguments for the Redis server */
export async function startRelayInstallation(
  postgresUrl: string,
  { redisArgs = [] }: { readonly redisArgs?: readonly string[] } = {},
): Promise<RelayInstallation> {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await migratedDatabase(postgresUrl));
  const redis = stack.use(await startRedis({ acl: await documentedUsers(), args: redisArgs }));
  const operator = stack.use(
    await startOperator({ postgresUrl: database.url, redisUrl: withUser(redis.url, 'relay-operator') }),
  );
  const launch: RelayInstallation['launch'] = async (id, env = {}) =>
    stack.use(await launchRelay(withUser(redis.url, 'relay'), id, env));
  let serving = false;
  const enforced = async (change: EntryChange): Promise<void> => {
    const revision = await operator.publish(change);
    if (serving) await operator.enforcedByAll(revision);
  };
  const ready: RelayInstallation['ready'] = async (...relays) => {
    await Promise.all(relays.map(isReady));
    serving = true;
  };
  return {
    databaseUrl: database.url,
    redis,
    operator,
    launch,
    ready,
    relays: async (...ids) => {
      const relays = await Promise.all(ids.map((id) => launch(id)));
      await ready(...relays);
      return relays;
    },
    app: (fields) => enforced(appChange(fields)),
    token: async (appId, scopes) => {
      const token = mintToken('Live', randomBytes(MINT_BYTES));
      const body = {
        id: token.id,
        appId,
        namespace: 'shop',
        name: 'ci',
        environment: 'Live' as const,
        expiresAt: null,
      };
      await enforced({
        key: tokenEntryKey(token.sha256),
        body: { ...body, ...(scopes === undefined ? {} : { scopes: [...scopes] }) },
      });
      return token.token;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export function appChange(fields: AppFields): EntryChange {
  const { appId, key = `${appId}key`, secret = `${appId}secret` } = fields;
  return {
    key: appEntryKey(appId),
    body: {
      appId,
      namespace: 'shop',
      name: `app-${appId}`,
      enabled: fields.enabled ?? true,
      keys: [{ id: 'k1', key, secret: seal(keyring, [appId], 'key.k1', secret, randomBytes(12)) }],
      authentication: { bearer: true, keyAndSecret: true, signature: true },
      access: fields.access ?? {},
      limits: { connections: null, eventBytes: 10_240, clientEventsPerSecond: 10, ...fields.limits },
      channels: { clientEvents: true, ...fields.channels },
      webhooks: fields.webhooks ?? [],
    },
  };
}

async function launchRelay(redisUrl: string, id: string, env: Readonly<Record<string, string>>): Promise<RelayProcess> {
  const [port, metricsPort] = await freePorts(2);
  if (port === undefined || metricsPort === undefined) throw new Error('no free ports');
  const started = await startProcess({
    command: process.execPath,
    args: ['relay/main.ts'],
    env: {
      PORT: String(port),
      METRICS_PORT: String(metricsPort),
      HOST: '127.0.0.1',
      REDIS_URL: redisUrl,
      DIRECTORY_KEYS: KEYS,
      RELAY_ID: id,
      RELAY_DRAIN_SECONDS: '1',
      ...env,
    },
  });
  return { process: started, port, metricsPort, [Symbol.asyncDispose]: () => started[Symbol.asyncDispose]() };
}

export const readyz = async ({ metricsPort }: RelayProcess): Promise<number> =>
  (await fetch(`http://127.0.0.1:${metricsPort}/readyz`)).status;

export const isReady = (relay: RelayProcess): Promise<unknown> =>
  eventually(async () => (await readyz(relay)) === 200, { timeout: 20_000, describe: relay.process.output() });

export const metricsOf = async ({ metricsPort }: Pick<RelayProcess, 'metricsPort'>): Promise<string> =>
  (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();

/** The Node SDK for an app of `app()`, unmodified. */
export const serverSdk = (
  { port }: { readonly port: number },
  { appId, key = `${appId}key`, secret = `${appId}secret` }: Pick<AppFields, 'appId' | 'key' | 'secret'>,
): Pusher => new Pusher({ appId, key, secret, host: '127.0.0.1', port: String(port), useTLS: false });
