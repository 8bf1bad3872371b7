import { pino } from 'pino';
import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { FakeClock, settled } from '#test/parts/fake-clock.ts';
import { BackendGate } from './backend-gate.ts';
import { Controller } from './controller.ts';
import type { ControllerOptions, Reconcile } from './controller.ts';
import { TerminalError, TransientError } from './errors.ts';
import { ControllerMetrics } from './metrics.ts';
import { done, requeueAfter } from './outcome.ts';

type Line = { level: number; msg: string; controller: string; namespace: string; name: string; reconcileID: string };

function start(reconcile: Reconcile, options: Partial<ControllerOptions> = {}) {
  const clock = new FakeClock();
  const lines: Line[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) });
  const registry = new Registry();
  let ids = 0;
  const runs: { readonly key: string; readonly at: number }[] = [];
  const controller = new Controller({
    name: 'thing',
    clock,
    random: () => 0.5,
    newId: () => `id-${(ids += 1)}`,
    log,
    observer: new ControllerMetrics(registry).observer('thing'),
    ...options,
    reconcile: (key, context) => {
      runs.push({ key, at: clock.monotonic() });
      return reconcile(key, context);
    },
  });
  const stop = new AbortController();
  const running = controller.run(stop.signal);
  const metric = async (line: string): Promise<string | undefined> =>
    (await registry.metrics())
      .split('\n')
      .find((candidate) => candidate.startsWith(`${line} `))
      ?.slice(line.length + 1);
  const end = async (): Promise<void> => {
    stop.abort();
    await running;
    expect(clock.sleeping).toBe(0);
  };
  return { clock, controller, lines, runs, metric, stop, running, end };
}

describe('outcomes', () => {
  test('done: once, without a word', async () => {
    const c = start(() => Promise.resolve(done));
    c.controller.enqueue('shop/a');
    await c.clock.advance(60_000);
    expect(c.runs).toEqual([{ key: 'shop/a', at: 0 }]);
    expect(c.lines).toEqual([]);
    expect(await c.metric('controller_runtime_reconcile_total{controller="thing",result="success"}')).toBe('1');
    await c.end();
  });

  test('requeueAfter: again when the time is up', async () => {
    const c = start(() => Promise.resolve(c.runs.length < 2 ? requeueAfter(1000) : done));
    c.controller.enqueue('shop/a');
    await c.clock.advance(60_000);
    expect(c.runs.map(({ at }) => at)).toEqual([0, 1000]);
    await c.end();
  });

  test('retry, and anything thrown: backs off by key, logs with names and reconcileID, counts', async () => {
    const c = start((key) => {
      if (key === 'shop/thrown') throw new TypeError('fault');
      return Promise.resolve({ kind: 'retry', error: new TransientError('Busy', 'busy') });
    });
    c.controller.enqueue('shop/thrown');
    await c.clock.advance(4);
    c.controller.enqueue('shop/busy');
    await c.clock.advance(40);
    expect(c.runs.filter(({ key }) => key === 'shop/thrown').map(({ at }) => at)).toEqual([0, 5, 15, 35]);
    expect(c.runs.filter(({ key }) => key === 'shop/busy').map(({ at }) => at)).toEqual([4, 9, 19, 39]);
    expect(c.lines[0]).toMatchObject({
      msg: 'reconcile failed',
      controller: 'thing',
      namespace: 'shop',
      name: 'thrown',
      reconcileID: 'id-1',
      code: 'TypeError',
    });
    expect(await c.metric('controller_runtime_reconcile_errors_total{controller="thing"}')).toBe('8');
    expect(await c.metric('workqueue_retries_total{name="thing",controller="thing"}')).toBe('8');
    await c.end();
  });

  test('a Retry-After is a lower bound', async () => {
    const c = start(() => Promise.reject(new TransientError('TooManyRequests', 'busy', { retryAfterMs: 3000 })));
    c.controller.enqueue('shop/a');
    await c.clock.advance(3000);
    expect(c.runs.map(({ at }) => at)).toEqual([0, 3000]);
    await c.end();
  });

  test('terminal, returned or thrown: not again until something asks', async () => {
    const c = start(() => Promise.reject(new TerminalError('InvalidSpec', 'no')));
    c.controller.enqueue('shop/a');
    await c.clock.advance(3_600_000);
    expect(c.runs).toHaveLength(1);
    expect(c.lines.map(({ msg }) => msg)).toEqual(['reconcile failed, waiting for a change']);
    expect(await c.metric('controller_runtime_terminal_reconcile_errors_total{controller="thing"}')).toBe('1');
    await c.end();
  });

  test('a lost race is tried again without a line and without an error counted', async () => {
    const conflict = new TransientError('Conflict', 'changed', { quiet: true });
    const c = start(() => (c.runs.length < 3 ? Promise.reject(conflict) : Promise.resolve(done)));
    c.controller.enqueue('shop/a');
    await c.clock.advance(1000);
    expect(c.runs).toHaveLength(3);
    expect(c.lines).toEqual([]);
    expect(await c.metric('controller_runtime_reconcile_total{controller="thing",result="requeue"}')).toBe('2');
    expect(await c.metric('controller_runtime_reconcile_errors_total{controller="thing"}')).toBeUndefined();
    await c.end();
  });
});

test('works on as many keys at once as it has workers', async () => {
  const finish: (() => void)[] = [];
  const c = start(() => new Promise((resolve) => finish.push(() => resolve(done))), { concurrency: 2 });
  for (const key of ['a', 'b', 'c']) c.controller.enqueue(key);
  await settled();
  expect(c.runs.map(({ key }) => key)).toEqual(['a', 'b']);
  expect(await c.metric('controller_runtime_active_workers{controller="thing"}')).toBe('2');
  expect(await c.metric('controller_runtime_max_concurrent_reconciles{controller="thing"}')).toBe('2');
  expect(await c.metric('workqueue_depth{name="thing",controller="thing"}')).toBe('1');
  await c.clock.advance(7000);
  expect(await c.metric('workqueue_unfinished_work_seconds{name="thing",controller="thing"}')).toBe('14');
  expect(await c.metric('workqueue_longest_running_processor_seconds{name="thing",controller="thing"}')).toBe('7');
  finish[0]?.();
  await settled();
  expect(c.runs.map(({ key }) => key)).toEqual(['a', 'b', 'c']);
  for (const end of finish) end();
  await settled();
  await c.end();
});

test('told to stop: running reconciles are aborted and waited for, queued ones are not started', async () => {
  let ended = false;
  const c = start(async (_, { signal }) => {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    await settled();
    ended = true;
    throw signal.reason;
  });
  c.controller.enqueue('a');
  c.controller.enqueue('b');
  await settled();
  c.stop.abort();
  await c.running;
  expect(ended).toBe(true);
  expect(c.runs).toHaveLength(1);
  expect(c.lines).toEqual([]);
});

test('a reconcile that takes too long has its signal aborted, and the key is tried again', async () => {
  const c = start(
    (_, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  );
  c.controller.enqueue('a');
  await c.clock.advance(120_006);
  expect(c.lines[0]).toMatchObject({ code: 'ReconcileTimeout' });
  expect(c.runs).toHaveLength(2);
  await c.end();
});

test('a resync looks at every key again within the interval', async () => {
  const c = start(() => Promise.resolve(done), { resync: { keys: () => ['a', 'b'] } });
  await c.clock.advance(12 * 3_600_000);
  expect(c.runs.map(({ key }) => key).toSorted()).toEqual(['a', 'b']);
  expect(c.runs[0]?.at).toBeGreaterThanOrEqual(9 * 3_600_000);
  await c.end();
});

describe('a backend that is down', () => {
  function downUntil(backAt: number, objects: number) {
    const clock = new FakeClock();
    const lines: string[] = [];
    const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
    let probes = 0;
    const down = (): Promise<never> =>
      Promise.reject(new TransientError('ECONNREFUSED', 'refused', { backend: 'postgres' }));
    const gate = new BackendGate({
      name: 'postgres',
      probe: () => {
        probes += 1;
        return clock.monotonic() >= backAt ? Promise.resolve() : down();
      },
      clock,
      random: () => 0.5,
      log,
    });
    const runs: string[] = [];
    const controller = new Controller({
      name: 'thing',
      clock,
      random: () => 0.5,
      newId: () => 'id',
      log,
      gates: [gate],
      reconcile: (key) => {
        runs.push(key);
        return clock.monotonic() >= backAt || key === 'orphan' ? Promise.resolve(done) : down();
      },
    });
    for (let i = 0; i < objects; i += 1) controller.enqueue(`k${i}`);
    const stop = new AbortController();
    const running = Promise.all([controller.run(stop.signal), gate.run(stop.signal)]);
    const end = async (): Promise<void> => {
      stop.abort();
      await running;
      expect(clock.sleeping).toBe(0);
    };
    return { clock, controller, gate, runs, lines, end, probes: () => probes };
  }

  test('1000 keys back off once, for all, with one line; when it is back each has its run', async () => {
    const d = downUntil(600_000, 1000);
    await d.clock.advance(599_000);
    expect(d.runs).toHaveLength(1);
    expect(d.lines).toHaveLength(1);
    expect(d.gate.health().lastError).toMatchObject({ code: 'ECONNREFUSED' });
    expect(d.probes()).toBeLessThan(70);
    await d.clock.advance(20_000);
    expect(new Set(d.runs).size).toBe(1000);
    expect(d.runs).toHaveLength(1001);
    expect(d.lines).toHaveLength(2);
    expect(d.gate.open).toBe(true);
    await d.end();
  });

  test('deletions go on meanwhile, each with its own backoff', async () => {
    const d = downUntil(60_000, 100);
    await d.clock.advance(1000);
    d.controller.enqueue('orphan', 'high');
    d.controller.enqueue('needs-it', 'high');
    await d.clock.advance(0);
    expect(d.runs).toEqual(['k0', 'orphan', 'needs-it']);
    await d.clock.advance(58_000);
    expect(d.runs.filter((key) => key === 'needs-it').length).toBeLessThan(20);
    expect(new Set(d.runs)).toEqual(new Set(['k0', 'orphan', 'needs-it']));
    await d.clock.advance(200_000);
    expect(new Set(d.runs).size).toBe(102);
    await d.end();
  });

  test('one that answers its probe and fails all the same is tried ever more rarely', async () => {
    const clock = new FakeClock();
    const log = pino({ level: 'silent' });
    const gate = new BackendGate({ name: 'postgres', probe: () => Promise.resolve(), clock, random: () => 0.5, log });
    let runs = 0;
    const controller = new Controller({
      name: 'thing',
      clock,
      random: () => 0.5,
      newId: () => 'id',
      log,
      gates: [gate],
      reconcile: () => {
        runs += 1;
        return Promise.reject(new TransientError('ReadOnly', 'read-only', { backend: 'postgres' }));
      },
    });
    controller.enqueue('a');
    const stop = new AbortController();
    const running = Promise.all([controller.run(stop.signal), gate.run(stop.signal)]);
    await clock.advance(120_000);
    expect(runs).toBeGreaterThan(5);
    expect(runs).toBeLessThan(20);
    stop.abort();
    await running;
  });
});
