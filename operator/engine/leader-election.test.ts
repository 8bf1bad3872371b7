import fc from 'fast-check';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { FakeClock, settled } from '#test/parts/fake-clock.ts';
import type { Clock } from './clock.ts';
import { TransientError } from './errors.ts';
import { LeaderElection } from './leader-election.ts';
import { microTime } from './lease-lock.ts';
import type { HeldLease, LeaseLock, LeaseRecord } from './lease-lock.ts';
import { claim, evaluate, observe } from './lease-rules.ts';

const log = pino({ level: 'silent' });

/** The API server's one Lease: compare and swap, nothing else. */
class Server {
  held: HeldLease | undefined;
  #version = 0;

  create(record: LeaseRecord): HeldLease {
    if (this.held !== undefined) throw new TransientError('AlreadyExists', 'exists', { quiet: true });
    return this.#store(record);
  }

  update(record: LeaseRecord, version: string): HeldLease {
    if (this.held?.version !== version) throw new TransientError('Conflict', 'changed', { quiet: true });
    return this.#store(record);
  }

  #store(record: LeaseRecord): HeldLease {
    this.#version += 1;
    this.held = { record, version: String(this.#version) };
    return this.held;
  }
}

function lockOn(server: Server, hold: (signal: AbortSignal) => Promise<void> = () => Promise.resolve()): LeaseLock {
  /** A request takes its time on the way there and on the way back. */
  const over = async <T>(signal: AbortSignal, act: () => T): Promise<T> => {
    await hold(signal);
    const answer = act();
    await hold(signal);
    return answer;
  };
  return {
    name: 'test/lease',
    get: (signal) => over(signal, () => server.held),
    create: (record, signal) => over(signal, () => server.create(record)),
    update: (record, version, signal) => over(signal, () => server.update(record, version)),
  };
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

const record: LeaseRecord = {
  holderIdentity: 'other',
  leaseDurationSeconds: 15,
  acquireTime: '2000-01-01T00:00:00.000000Z',
  renewTime: '2000-01-01T00:00:00.000000Z',
  leaseTransitions: 3,
};

describe('the rules', () => {
  test('a holder is believed for its lease duration after the last change that we saw, whatever its clock says', () => {
    const seen = observe(undefined, record, 1000);
    expect(evaluate(seen, 'me', 1000)).toEqual({ action: 'wait', holder: 'other', ms: 15_000 });
    expect(evaluate(seen, 'me', 15_999)).toMatchObject({ action: 'wait', ms: 1 });
    expect(evaluate(seen, 'me', 16_000)).toEqual({ action: 'acquire' });
    expect(evaluate(observe(seen, { ...record }, 9000), 'me', 16_000)).toEqual({ action: 'acquire' });
    const renewed = observe(seen, { ...record, renewTime: '2000-01-01T00:00:02.000000Z' }, 9000);
    expect(evaluate(renewed, 'me', 16_000)).toMatchObject({ action: 'wait', ms: 8000 });
  });

  test('a lease that is ours, nobody’s or missing needs no waiting', () => {
    expect(evaluate(undefined, 'me', 0)).toEqual({ action: 'acquire' });
    expect(evaluate(observe(undefined, { ...record, holderIdentity: '' }, 0), 'me', 0)).toEqual({ action: 'acquire' });
    expect(evaluate(observe(undefined, { ...record, holderIdentity: 'me' }, 0), 'me', 0)).toEqual({ action: 'renew' });
  });

  test('a renewal keeps the acquire time and counts no transition; a takeover does both', () => {
    const now = { time: microTime(0), leaseDurationSeconds: 15 };
    expect(claim({ ...record, holderIdentity: 'me' }, 'me', now)).toMatchObject({
      acquireTime: record.acquireTime,
      renewTime: '1970-01-01T00:00:00.000000Z',
      leaseTransitions: 3,
    });
    expect(claim(record, 'me', now)).toMatchObject({ acquireTime: now.time, leaseTransitions: 4 });
    expect(claim(undefined, 'me', now)).toMatchObject({ leaseTransitions: 0 });
  });
});

function elect(server: Server, clock: Clock, identity: string, hold?: (signal: AbortSignal) => Promise<void>) {
  const election = new LeaderElection({ lock: lockOn(server, hold), identity, clock, random: () => 0.5, log });
  const stop = new AbortController();
  const terms: AbortSignal[] = [];
  const running = election.run(stop.signal, async (signal) => {
    terms.push(signal);
    await untilAborted(signal);
  });
  return { election, terms, running, stop };
}

describe('the loop', () => {
  test('leads for as long as it renews, and gives the lease back on a clean stop', async () => {
    const [server, clock] = [new Server(), new FakeClock()];
    const a = elect(server, clock, 'a');
    const b = elect(server, clock, 'b');
    await clock.advance(3_600_000);
    expect([a.election.isLeading(), b.election.isLeading()]).toEqual([true, false]);
    expect(a.terms).toHaveLength(1);
    expect(b.election.leader).toBe('a');
    a.stop.abort();
    await a.running;
    expect(server.held?.record.holderIdentity).toBe('');
    await clock.advance(3000);
    expect(b.election.isLeading()).toBe(true);
    b.stop.abort();
    await b.running;
    expect(clock.sleeping).toBe(0);
  });

  test('gives the lease back only after the led work has ended', async () => {
    const [server, clock] = [new Server(), new FakeClock()];
    const election = new LeaderElection({ lock: lockOn(server), identity: 'a', clock, random: () => 0.5, log });
    const stop = new AbortController();
    const ended = Promise.withResolvers<void>();
    const running = election.run(stop.signal, () => ended.promise);
    await clock.advance(10);
    stop.abort();
    await settled();
    expect(server.held?.record.holderIdentity).toBe('a');
    ended.resolve();
    await running;
    expect(server.held?.record.holderIdentity).toBe('');
  });

  test('the API server is away: the work stops 10 s after the START of the last renewal; the others take over 15 s after they saw it', async () => {
    const [server, clock] = [new Server(), new FakeClock()];
    let away = false;
    const a = elect(server, clock, 'a', (signal) => (away ? clock.sleep(1e9, signal) : clock.sleep(100, signal)));
    await clock.advance(1000);
    const b = elect(server, clock, 'b');
    await clock.advance(60_000);
    const version = server.held?.version;
    while (server.held?.version === version) await clock.advance(10);
    // The renewal has arrived; its answer takes another 100 ms.
    await clock.advance(100);
    const renewedAt = Date.parse(server.held?.record.renewTime ?? '') - Date.UTC(2026, 0, 1);
    away = true;
    await clock.advance(renewedAt + 9999 - clock.monotonic());
    expect(a.terms[0]?.aborted).toBe(false);
    await clock.advance(1);
    expect(a.terms[0]?.aborted).toBe(true);
    expect(a.election.isLeading()).toBe(false);
    expect(b.election.isLeading()).toBe(false);
    await clock.advance(10_000);
    expect(b.election.isLeading()).toBe(true);
    away = false;
    await clock.advance(60_000);
    expect(a.election.isLeading()).toBe(false);
    for (const { stop } of [a, b]) stop.abort();
    await Promise.all([a.running, b.running]);
  });

  test('a process that was stopped knows when it wakes, before any timer fires', async () => {
    const [server, clock] = [new Server(), new FakeClock()];
    let asleep = 0;
    const own: Clock = { ...clockOf(clock), now: () => clock.now() + asleep };
    const a = elect(server, own, 'a');
    await clock.advance(5000);
    expect(a.election.isLeading()).toBe(true);
    // The machine slept: its monotonic clock stood still, its wall clock did not, and no timer has fired yet.
    asleep = 20_000;
    expect(a.election.isLeading()).toBe(false);
    a.stop.abort();
    await a.running;
  });

  test('led work that fails gives the lease back and ends the run with its error', async () => {
    const [server, clock] = [new Server(), new FakeClock()];
    const election = new LeaderElection({ lock: lockOn(server), identity: 'a', clock, random: () => 0.5, log });
    const running = election.run(new AbortController().signal, () => Promise.reject(new Error('fault')));
    await expect(running).rejects.toThrow('fault');
    expect(server.held?.record.holderIdentity).toBe('');
  });

  test('a lease that somebody else took by force ends the term at once', async () => {
    const [server, clock] = [new Server(), new FakeClock()];
    const a = elect(server, clock, 'a');
    await clock.advance(5000);
    server.update({ ...record, holderIdentity: 'thief' }, server.held?.version ?? '');
    await clock.advance(5000);
    expect(a.terms[0]?.aborted).toBe(true);
    a.stop.abort();
    await a.running;
  });
});

function clockOf(clock: FakeClock): Clock {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
  };
}

type Fault = {
  readonly node: number;
  readonly at: number;
  readonly ms: number;
  readonly kind: 'pause' | 'cut' | 'slow';
};

const fault: fc.Arbitrary<Fault> = fc.record({
  node: fc.nat(2),
  at: fc.integer({ min: 0, max: 120_000 }),
  ms: fc.integer({ min: 100, max: 40_000 }),
  kind: fc.constantFrom('pause', 'cut', 'slow'),
});

test('three candidates, stopped, cut off and slowed at will, with clocks years apart: never two leaders at one instant', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fault, { maxLength: 8 }),
      fc.array(fc.integer({ min: -1e12, max: 1e12 }), { minLength: 3, maxLength: 3 }),
      fc.integer({ min: 0, max: 1500 }),
      async (faults, offsets, latency) => {
        const [server, clock] = [new Server(), new FakeClock()];
        const active = (node: number, kind: Fault['kind']): Fault | undefined => {
          const now = clock.monotonic();
          return faults.find((f) => f.node === node && f.kind === kind && f.at <= now && now < f.at + f.ms);
        };
        /** A stopped process: none of its timers fires and no answer is taken in before it goes on. */
        const resumed = async (node: number): Promise<void> => {
          for (let stopped = active(node, 'pause'); stopped !== undefined; stopped = active(node, 'pause')) {
            await clock.sleep(stopped.at + stopped.ms - clock.monotonic());
          }
        };
        const nodes = offsets.map((offset, node) => {
          const own: Clock = {
            now: () => clock.now() + offset,
            monotonic: () => clock.monotonic() + offset,
            sleep: async (ms, signal) => {
              await clock.sleep(ms, signal);
              await resumed(node);
            },
          };
          const hold = async (signal: AbortSignal): Promise<void> => {
            await clock.sleep(active(node, 'slow') === undefined ? latency / 2 : 4000, signal);
            const cut = active(node, 'cut');
            if (cut !== undefined) await clock.sleep(cut.at + cut.ms - clock.monotonic() + 60_000, signal);
            await resumed(node);
          };
          return elect(server, own, `node-${node}`, hold);
        });
        let led = 0;
        for (let tick = 0; tick < 300; tick += 1) {
          await clock.advance(500);
          // What a writer asks before a write. A stopped process writes nothing while it is stopped.
          const leaders = nodes.filter(
            ({ election }, node) => election.isLeading() && active(node, 'pause') === undefined,
          );
          expect(leaders.length).toBeLessThanOrEqual(1);
          led += leaders.length;
        }
        expect(led).toBeGreaterThan(0);
        for (const { stop } of nodes) stop.abort();
        await clock.advance(200_000);
        await Promise.all(nodes.map(({ running }) => running));
      },
    ),
    { numRuns: 200 },
  );
}, 60_000);
