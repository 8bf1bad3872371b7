import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';
import {
  isReady,
  metricsOf,
  readyz,
  serverSdk,
  startRelayInstallation,
  type RelayInstallation,
  type RelayProcess,
} from './relay-installation.ts';
import { TestClient } from './test-client.ts';

// A relay of several worker processes behind one port (RELAY_WORKERS), as deployed: real processes, Redis, a real publisher. Linux
// only: the workers are found as the children of their supervisor in /proc.

const app = { appId: '201' };
let installation: RelayInstallation;
beforeAll(async () => {
  installation = await startRelayInstallation(inject('postgresUrl'));
  await installation.app(app);
});
afterAll(() => installation[Symbol.asyncDispose]());

async function launched(id: string): Promise<RelayProcess> {
  const relay = await installation.launch(id, { RELAY_WORKERS: '2' });
  await installation.ready(relay);
  return relay;
}

const workersOf = ({ process: { pid } }: RelayProcess): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);

const runs = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const connections = async (relay: RelayProcess): Promise<number> =>
  Number(/^relay_connections (\d+)$/m.exec(await metricsOf(relay))?.[1]);

const clientsOf = (relay: RelayProcess, count: number): Promise<TestClient[]> =>
  Promise.all(
    Array.from({ length: count }, async () => {
      const client = await TestClient.connected(relay.port, '201key');
      await client.subscribe('orders');
      return client;
    }),
  );

describe('a relay of two workers', () => {
  let relay: RelayProcess;
  beforeAll(async () => {
    relay = await launched('many');
  });

  test('each worker reports to the directory by itself', async () => {
    const reports = await installation.redis.command('HKEYS', '{rly:dir}:replicas');
    expect(reports).toEqual(expect.arrayContaining(['many:w1', 'many:w2']));
    expect(workersOf(relay)).toHaveLength(2);
  });

  test('an event reaches the sockets of both, once; the metrics are those of both', async () => {
    await using stack = new AsyncDisposableStack();
    const clients = (await clientsOf(relay, 6)).map((client) => stack.use(client));
    expect(await connections(relay)).toBe(6);
    await serverSdk(relay, app).trigger('orders', 'placed', { n: 1 });
    for (const client of clients) {
      await client.event('placed', 'orders');
      expect(client.all('placed', 'orders')).toEqual([{ n: 1 }]);
    }
    const metrics = await metricsOf(relay);
    expect(metrics).toMatch(/^relay_ready 1$/m);
    expect(metrics).toMatch(/^relay_events_delivered_total 6$/m);
    expect(metrics).toMatch(/^relay_events_published_total\{reach="everywhere"\} 1$/m);
  });

  test('a worker that is killed takes its own sockets along and is started again', async () => {
    await using stack = new AsyncDisposableStack();
    const clients = (await clientsOf(relay, 6)).map((client) => stack.use(client));
    const [first, second] = workersOf(relay);
    if (first === undefined || second === undefined) throw new Error('two workers');
    process.kill(first, 'SIGKILL');
    const lost = (): number => clients.filter(({ closeCode }) => closeCode !== undefined).length;
    await eventually(() => lost() > 0);
    await eventually(() => workersOf(relay).length === 2 && !workersOf(relay).includes(first));
    expect(workersOf(relay)).toContain(second);
    await isReady(relay);
    // Round robin: each had some.
    expect(lost()).toBeLessThan(clients.length);
    const [fresh] = (await clientsOf(relay, 2)).map((client) => stack.use(client));
    await serverSdk(relay, app).trigger('orders', 'again', {});
    await fresh?.event('again', 'orders');
    for (const client of clients) if (client.closeCode === undefined) await client.event('again', 'orders');
  });

  test('a worker that hangs is told by /readyz and /livez', async () => {
    const [first] = workersOf(relay);
    if (first === undefined) throw new Error('no worker');
    const livez = async (): Promise<number> => (await fetch(`http://127.0.0.1:${relay.metricsPort}/livez`)).status;
    process.kill(first, 'SIGSTOP');
    expect([await readyz(relay), await livez()]).toEqual([503, 503]);
    process.kill(first, 'SIGCONT');
    await isReady(relay);
    expect(await livez()).toBe(200);
  });
});

describe('the end of a relay of two workers', () => {
  test('SIGTERM: sockets are told to reconnect (4200), all workers end, exit 0', async () => {
    const relay = await launched('stopped');
    const clients = await clientsOf(relay, 4);
    const workers = workersOf(relay);
    relay.process.signal('SIGTERM');
    expect(await Promise.all(clients.map((client) => client.closed()))).toEqual([4200, 4200, 4200, 4200]);
    expect(await relay.process.exited).toMatchObject({ code: 0 });
    expect(workers.map(runs)).toEqual([false, false]);
  });

  test('the supervisor is killed: its workers do not go on without it', async () => {
    const relay = await launched('orphaned');
    const workers = workersOf(relay);
    relay.process.signal('SIGKILL');
    await relay.process.exited;
    await eventually(() => workers.every((pid) => !runs(pid)));
  });

  test('the port is taken: no endless restarting, exit 1 with the reason', async () => {
    const relay = await launched('first');
    const second = await installation.launch('second', { RELAY_WORKERS: '2', PORT: String(relay.port) });
    expect(await second.process.exited).toMatchObject({ code: 1 });
    expect(second.process.output()).toMatch(/EADDRINUSE/);
  });
});
