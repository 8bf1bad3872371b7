import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { disposablePool } from '#test/parts/migrated-database.ts';
import { PusherClient, relayAt } from '#test/parts/pusher-js.ts';
import { eventually } from '#test/parts/eventually.ts';
import { withUser } from '#test/parts/redis-users.ts';
import {
  metricsOf,
  serverSdk,
  startRelayInstallation,
  type RelayInstallation,
  type RelayProcess,
} from '../relay/relay-installation.ts';
import { insertApp, insertToken, startReader, type FactOperator } from './fact-world.ts';

/** Relay processes as they are deployed, with unmodified SDKs: what the operator knows of their credentials. */
const stack = new AsyncDisposableStack();
let installation: RelayInstallation;
let reader: Pick<FactOperator, 'uses' | 'metrics' | 'becomes' | 'stop'>;
let one: RelayProcess;
let two: RelayProcess;

beforeAll(async () => {
  installation = stack.use(await startRelayInstallation(inject('postgresUrl')));
  const postgresUrl = installation.databaseUrl;
  const { pool } = stack.use(disposablePool(postgresUrl));
  await insertApp(pool, '11');
  const redisUrl = withUser(installation.redis.url, 'relay-operator');
  reader = startReader(installation.operator, { postgresUrl, redisUrl });
  stack.defer(() => reader.stop());
  [one, two] = await Promise.all([installation.launch('relay-1'), installation.launch('relay-2')]);
  await installation.ready(one, two);
  await installation.app({ appId: '11' });
  await insertToken(pool, '11', TOKEN_ID);
});
afterAll(() => stack.disposeAsync());

const TOKEN_ID = 'unused0001';

test('uses of SDKs at both relays, with names and versions; then a relay that ends, and one that is killed', async () => {
  await serverSdk(one, { appId: '11' }).trigger('c', 'e', {});
  await serverSdk(two, { appId: '11' }).trigger('c', 'e', {});
  await reader.becomes('11', { k1: { requests: 2, client: 'pusher-http-node 5.3.4' } });
  await eventually(() => reader.uses.knownUntil() !== null, { timeout: 20_000 });
  expect(await metricsOf(one)).toContain('relay_fact_reports_total{outcome="told"}');
  expect((await reader.uses.of('11')).has(TOKEN_ID)).toBe(false);

  // Connected to the one that ends, whose last word it is in.
  const client = new PusherClient('11key', {
    ...relayAt(one.port),
  });
  await eventually(() => client.connection.state === 'connected');
  one.process.signal('SIGTERM');
  await reader.becomes('11', { k1: { requests: 3 } });
  client.disconnect();
  expect(reader.uses.knownUntil()).not.toBeNull();

  two.process.signal('SIGKILL');
  await two.process.exited;
  const again = await installation.launch('relay-2');
  await installation.ready(again);
  await eventually(() => reader.uses.knownUntil() === null, { timeout: 20_000 });
  expect(await reader.metrics()).toContain('relay_operator_fact_gaps_total{reason="died"} 1');
});
