import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startControlPlane, type ControlPlane } from '#test/parts/control-plane.ts';
import { eventually } from '#test/parts/eventually.ts';
import {
  readyAt,
  startInstallation,
  type Installation,
  type OperatorProcess,
  type RelayProcess,
} from '#test/parts/installation.ts';
import { startPostgres, type PostgresServer } from '#test/parts/postgres.ts';
import { queryDatabase } from '#test/parts/postgres-database.ts';
import type { RunningProcess } from '#test/parts/process.ts';
import { publish, Tenant } from '#test/parts/tenant.ts';

// Everything that an operator and a relay need goes away, at the start and later; processes are killed and frozen in the middle of their
// work. Each test ends in the state that an undisturbed run has.
// Long, because every fault happens to one installation on one private control plane, which takes longest to start.

const SYSTEM = 'outage-system';
const NAMESPACE = 'outage';
const WARN = 40;
const PATIENCE = { timeout: 90_000, interval: 50 };
/** Not about a backend: a leader that lost its lease says so as well. */
const LEADERSHIP = new Set(['no longer leading', 'stepping down']);
const LIST_OR_WATCH = 'list or watch failed, trying again';
const REBUILT = 'the directory in Redis is rebuilt';
/** What the operator says of an outage: each line once, however long it lasts and however much waits for it. */
const SAID = {
  apiserver: [LIST_OR_WATCH],
  postgres: ['backend is down, work that needs it waits'],
  redis: ['Redis cannot be reached, trying again', REBUILT],
};
const SAID_BY_RELAY = ['Redis cannot be reached, trying again'];

type LogLine = { readonly level: number; readonly time: number; readonly msg: string };

describe('outages', () => {
  let cluster: ControlPlane;
  let postgres: PostgresServer;
  let installation: Installation;
  let tenant: Tenant;
  const stack = new AsyncDisposableStack();

  beforeAll(async () => {
    cluster = stack.use(await startControlPlane());
    postgres = stack.use(await startPostgres());
    await cluster.kubectlOk(['apply', '--server-side', '-f', 'crds/generated']);
    for (const name of [NAMESPACE, SYSTEM]) await cluster.kubectlOk(['create', 'namespace', name]);
    installation = stack.use(
      await startInstallation({
        kubeconfig: cluster.adminKubeconfig,
        namespace: SYSTEM,
        watchNamespaces: [NAMESPACE],
        postgresUrl: postgres.url,
        operators: 0,
        relays: 0,
      }),
    );
    tenant = new Tenant(cluster, NAMESPACE);
  });

  afterAll(() => stack.disposeAsync());

  const running = (): OperatorProcess[] => installation.operators.filter(({ process }) => !process.ended);
  /** What a process complained of since a moment. */
  const complaints = (process: RunningProcess, since: number): string[] =>
    process
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine)
      .filter(({ level, time, msg }) => level >= WARN && time >= since && !LEADERSHIP.has(msg))
      .map(({ msg }) => msg);
  const status = async (url: string): Promise<number> => (await fetch(url)).status;
  const answers = (url: string, wanted: number): Promise<unknown> =>
    eventually(async () => (await status(url)) === wanted, { ...PATIENCE, describe: `${url} answers ${wanted}` });
  const ready = ({ process, healthUrl }: OperatorProcess): Promise<void> => readyAt(`${healthUrl}/readyz`, process);
  const relayReady = ({ process, managementUrl }: RelayProcess): Promise<void> =>
    readyAt(`${managementUrl}/readyz`, process);
  const enforced = (kind: 'RelayApp' | 'RelayToken', name: string) =>
    tenant.condition(kind, name, 'Enforced', { status: 'True' });
  const rows = (sql: string, ...values: unknown[]) => queryDatabase(installation.databaseUrl, sql, values);
  const count = async (sql: string, ...values: unknown[]): Promise<number> =>
    Number((await rows(`SELECT count(*)::int AS count ${sql}`, ...values))[0]?.['count']);
  const pairs = (names: readonly string[]): object[] =>
    names.flatMap((name) => [tenant.app(name), tenant.token(name, name)]);
  const statusesOf = async (appId: string, credentials: Parameters<typeof publish>[2]): Promise<number[]> =>
    (await Promise.all(installation.relays.map(({ url }) => publish(url, appId, credentials)))).map(
      (answer) => answer.status,
    );

  const leader = (): Promise<OperatorProcess> =>
    eventually(
      async () => {
        const lease = await cluster.kubectlOk(['-n', SYSTEM, 'get', 'lease', 'relay-operator', '-o', 'json']);
        const { holderIdentity = '' } = (JSON.parse(lease) as { spec: { holderIdentity?: string } }).spec;
        return running().find(({ process }) => process.output().includes(`"identity":"${holderIdentity}"`));
      },
      { timeout: 90_000, interval: 200, describe: 'one of the operators leads' },
    );
  const startOperators = async (...names: string[]): Promise<OperatorProcess[]> => {
    const started = await Promise.all(names.map((name) => installation.startOperator(name)));
    await Promise.all(started.map(ready));
    return started;
  };
  const kill = async (...processes: RunningProcess[]): Promise<void> => {
    for (const process of processes) process.signal('SIGKILL');
    await Promise.all(processes.map(({ exited }) => exited));
  };

  /** The final state of every app and token of the namespace, as an undisturbed run leaves it. */
  const expectFinalState = async (names: readonly string[]): Promise<void> => {
    await tenant.settled(2 * names.length, 'relayapp,relaytoken', 120_000);
    const sorted = names.toSorted();
    for (const table of ['app', 'token']) {
      const active = await rows(`SELECT name FROM ${table} WHERE state = 'Active' ORDER BY name COLLATE "C"`);
      expect(active.map(({ name }) => name)).toEqual(sorted);
    }
    const published = await rows(
      `SELECT key FROM entry WHERE key NOT IN (SELECT 'app/' || app_id FROM app WHERE state = 'Active'
         UNION SELECT 'token/' || sha256 FROM token WHERE state <> 'Revoked')`,
    );
    expect(published).toEqual([]);
    const secrets = new Map(
      (JSON.parse(await tenant.kubectl('get', 'secret', '-o', 'json')) as { items: Stored[] }).items.map((secret) => [
        secret.metadata.name,
        (key: string) => Buffer.from(secret.data?.[key] ?? '', 'base64').toString(),
      ]),
    );
    expect([...secrets.keys()].toSorted()).toEqual(
      names.flatMap((name) => [`${name}-relay`, `${name}-token`]).toSorted(),
    );
    for (const name of names) {
      const app = secrets.get(`${name}-relay`) ?? (() => '');
      const token = secrets.get(`${name}-token`)?.('RELAY_TOKEN') ?? '';
      const appId = app('PUSHER_APP_ID');
      const all = [
        ...(await statusesOf(appId, { token })),
        ...(await statusesOf(appId, { key: app('PUSHER_APP_KEY'), secret: app('PUSHER_APP_SECRET') })),
      ];
      expect({ name, all }).toEqual({ name, all: all.map(() => 200) });
    }
  };
  const clear = async (): Promise<void> => {
    await tenant.kubectl('delete', 'relayapp,relaytoken', '--all', '--timeout=90s');
  };

  test('everything away at the start: each process waits, says so once for each, and gets ready by itself', async () => {
    const started = Date.now();
    await Promise.all([cluster.apiserver.kill9(), postgres.stop(), installation.redis.stop()]);
    const operator = await installation.startOperator('operator-0');
    const relay = await installation.startRelay('relay-0');
    await answers(`${operator.healthUrl}/readyz`, 503);
    await answers(`${operator.healthUrl}/healthz`, 200);
    await answers(`${relay.managementUrl}/readyz`, 503);
    await answers(`${relay.managementUrl}/livez`, 200);
    await eventually(() => complaints(operator.process, started).length >= 3, PATIENCE);
    await eventually(() => complaints(relay.process, started).length >= 1, PATIENCE);
    await postgres.start();
    await installation.redis.start();
    await cluster.apiserver.start();
    await ready(operator);
    await relayReady(relay);
    // An API server that is starting answers before it lets anybody list.
    const said = complaints(operator.process, started).filter((line) => line !== LIST_OR_WATCH);
    expect(said.toSorted()).toEqual([
      'Redis cannot be reached, trying again',
      REBUILT,
      'waiting for a backend',
      'waiting for the API server',
    ]);
    expect(complaints(relay.process, started)).toHaveLength(1);
    await tenant.apply(...pairs(['first']));
    await tenant.settled(2);
    await relayReady(await installation.startRelay('relay-1'));
    await expectFinalState(['first']);
  });

  test.each(['apiserver', 'postgres', 'redis'] as const)('%s goes away and comes back', async (which) => {
    const [operator] = running();
    if (operator === undefined) throw new Error('an operator runs');
    const server = { apiserver: cluster.apiserver, postgres, redis: installation.redis }[which];
    const token = { token: await tenant.value('first-token', 'RELAY_TOKEN') };
    const appId = await tenant.value('first-relay', 'PUSHER_APP_ID');
    const since = Date.now();
    // An API server takes half a minute to stop politely.
    await (which === 'apiserver' ? server.kill9() : server.stop());
    await answers(`${operator.healthUrl}/readyz`, 503);
    await answers(`${operator.healthUrl}/healthz`, 200);
    // What is asked for meanwhile is done afterwards.
    if (which !== 'apiserver') await tenant.apply(...pairs([`during-${which}`]));
    await eventually(() => complaints(operator.process, since).length > 0, PATIENCE);
    if (which === 'postgres') {
      const waits = { status: 'True', reason: 'DatabaseUnavailable' } as const;
      await tenant.condition('RelayApp', 'during-postgres', 'Reconciling', waits);
      await tenant.condition('RelayToken', 'during-postgres', 'Reconciling', waits);
      expect(await tenant.kubectl('get', 'relayapp,relaytoken')).toContain('during-postgres');
    }
    for (const relay of installation.relays) expect(await status(`${relay.managementUrl}/readyz`)).toBe(200);
    expect(await statusesOf(appId, token)).toEqual([200, 200]);
    await server.start();
    await ready(operator);
    await answers(`${operator.healthUrl}/readyz`, 200);
    if (which === 'apiserver') await tenant.apply(...pairs([`during-${which}`]));
    await enforced('RelayToken', `during-${which}`);
    await enforced('RelayApp', `during-${which}`);
    expect(await statusesOf(appId, token)).toEqual([200, 200]);
    const said = complaints(operator.process, since);
    expect(said).toEqual([...new Set(said)]);
    expect(SAID[which]).toEqual(expect.arrayContaining(said));
    for (const { process } of installation.relays) {
      const heard = complaints(process, since);
      expect(heard).toEqual([...new Set(heard)]);
      expect(which === 'redis' ? SAID_BY_RELAY : []).toEqual(expect.arrayContaining(heard));
    }
  });

  test('Redis and every operator gone: relays serve what they know, and learn the rest afterwards', async () => {
    const token = { token: await tenant.value('first-token', 'RELAY_TOKEN') };
    const appId = await tenant.value('first-relay', 'PUSHER_APP_ID');
    for (const { process } of running()) await process.stop();
    await installation.redis.kill9();
    await tenant.patch('relaytoken/first', { spec: { revoked: true } });
    expect(await statusesOf(appId, token)).toEqual([200, 200]);
    await installation.redis.start();
    await startOperators('operator-1');
    await enforced('RelayToken', 'first');
    expect(await statusesOf(appId, token)).toEqual([401, 401]);
    await clear();
  });

  test('a relay killed and started again: missed, and then it knows all that changed meanwhile', async () => {
    await tenant.apply(...pairs(['kept', 'ended']));
    await tenant.settled(4);
    const [, second] = installation.relays;
    if (second === undefined) throw new Error('two relays run');
    const token = { token: await tenant.value('ended-token', 'RELAY_TOKEN') };
    const appId = await tenant.value('ended-relay', 'PUSHER_APP_ID');
    await kill(second.process);
    await tenant.patch('relaytoken/ended', { spec: { revoked: true } });
    const { message } = await tenant.condition('RelayToken', 'ended', 'Enforced', {
      status: 'Unknown',
      reason: 'ReplicaUnreachable',
    });
    expect(message).toContain('relay-1');
    await relayReady(await installation.startRelay('relay-1'));
    await enforced('RelayToken', 'ended');
    expect(await statusesOf(appId, token)).toEqual([401, 401]);
    await clear();
  });

  test('the leader killed in the middle of its work: the other one finishes it', async () => {
    const before = await leader();
    await startOperators('operator-2');
    const names = Array.from({ length: 15 }, (_, index) => `led-${index}`);
    const applied = tenant.apply(...pairs(names));
    await eventually(async () => (await count(`FROM token WHERE state = 'Active'`)) >= 3, { ...PATIENCE, interval: 5 });
    await kill(before.process);
    await applied;
    await expectFinalState(names);
    expect((await leader()).process.pid).not.toBe(before.process.pid);
    await clear();
  });

  test.each([1, 2, 3])('both operators killed at two random moments of a batch (seed %i)', async (seed) => {
    const random = randomOf(seed);
    const names = Array.from({ length: 30 }, (_, index) => `batch-${seed}-${index}`);
    if (running().length < 2) await startOperators(`operator-${seed}-0`);
    const base = await count('FROM audit');
    const applied = tenant.apply(...pairs(names));
    const moments = [random(), random()].map((part) => Math.ceil(part * 58)).toSorted((a, b) => a - b);
    for (const [round, moment] of moments.entries()) {
      // Two registry changes for a pair: that many of the sixty are committed, and whatever else was under way is cut off.
      await eventually(async () => (await count('FROM audit')) - base >= moment, { ...PATIENCE, interval: 1 });
      await kill(...running().map(({ process }) => process));
      // They are dead for certain, so nobody has to wait for the lease to run out; the test before this one does.
      await cluster.kubectlOk(['-n', SYSTEM, 'delete', 'lease', 'relay-operator', '--ignore-not-found']);
      await startOperators(`operator-${seed}-${round}-a`, `operator-${seed}-${round}-b`);
    }
    await applied;
    await expectFinalState(names);
    const reissued = await count(`FROM token WHERE state = 'Retiring'`);
    console.log(`seed ${seed}: killed after ${moments.join(' and ')} of 60 changes; ${reissued} tokens minted again`);
    await clear();
  });

  test('a leader frozen past its lease: the other one leads, and nothing of the old one lands when it thaws', async () => {
    const frozen = await leader();
    if (running().length < 2) await startOperators('operator-3');
    const names = Array.from({ length: 15 }, (_, index) => `cold-${index}`);
    const applied = tenant.apply(...pairs(names));
    await eventually(async () => (await count(`FROM token WHERE state = 'Active'`)) >= 3, { ...PATIENCE, interval: 5 });
    frozen.process.signal('SIGSTOP');
    await applied;
    await expectFinalState(names);
    const everything = async (): Promise<unknown> => ({
      objects: (await tenant.list('relayapp,relaytoken,secret')).map(
        ({ kind, metadata: { name, resourceVersion } }) => [kind, name, resourceVersion],
      ),
      directory: await rows('SELECT * FROM directory'),
      audit: await rows('SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1'),
      head: await installation.redis.command('HMGET', '{rly:dir}:head', 'epoch', 'revision', 'digest'),
    });
    const before = await everything();
    const thawed = Date.now();
    frozen.process.signal('SIGCONT');
    await eventually(
      () =>
        frozen.process
          .output()
          .split('\n')
          .some((line) => line.includes('"msg":"no longer leading"') && (JSON.parse(line) as LogLine).time >= thawed),
      { ...PATIENCE, describe: 'the thawed operator knows that it no longer leads' },
    );
    await answers(`${frozen.healthUrl}/readyz`, 200);
    expect(await everything()).toEqual(before);
    expect((await leader()).process.pid).not.toBe(frozen.process.pid);
    await clear();
  });
});

type Stored = { readonly metadata: { readonly name: string }; readonly data?: Readonly<Record<string, string>> };

/** mulberry32: the same moments for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
