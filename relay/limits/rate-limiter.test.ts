import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Rate } from '#crds/rate.ts';
import type { RateDecision } from './budget.ts';
import { MemoryRateStore } from './memory-rate-store.ts';
import { RateLimiter, SWEEP_MS } from './rate-limiter.ts';
import { leaseFrom, type BudgetId, type Lease, type LeaseRequest, type RateStore } from './rate-store.ts';

const rate: Rate = { requestsPerMinute: 60, burst: 30 };

/** A store that counts what it is asked. */
class CountingStore implements RateStore {
  readonly inner: MemoryRateStore;
  asked = 0;
  constructor(inner: MemoryRateStore) {
    this.inner = inner;
  }
  lease(budget: BudgetId, of: Rate, request: LeaseRequest): Promise<Lease | undefined> {
    this.asked += 1;
    return this.inner.lease(budget, of, request);
  }
  replicas(): number {
    return this.inner.replicas();
  }
}

class World {
  time = 0;
  readonly store: CountingStore;
  readonly limiters: readonly RateLimiter[];
  constructor(replicas = 1) {
    this.store = new CountingStore(new MemoryRateStore(() => this.time, replicas));
    this.limiters = Array.from({ length: replicas }, () => new RateLimiter(this.store, () => this.time));
  }

  async take(at: number, of: Rate = rate, budget = 'app'): Promise<RateDecision> {
    const limiter = this.limiters[at];
    if (limiter === undefined) throw new Error(`no replica ${at}`);
    return limiter.take({ appId: '1', budget, policy: 'app', rate: of });
  }

  /** How many of so many at once are admitted. */
  async admitted(at: number, requests: number, of: Rate = rate): Promise<number> {
    const decisions = await Promise.all(Array.from({ length: requests }, () => this.take(at, of)));
    return decisions.filter(({ admitted }) => admitted).length;
  }

  /** Time passes in steps in which sweeps and answers happen. */
  async pass(ms: number): Promise<void> {
    const end = this.time + ms;
    while (this.time < end) {
      this.time = Math.min(end, this.time + SWEEP_MS);
      for (const limiter of this.limiters) limiter.sweep();
      await settle();
    }
  }
}

/** Until everything that is under way with a store in memory has happened. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a lease from a shared bucket', () => {
  test('what is needed comes first, what is taken ahead leaves three quarters', () => {
    const lease = (tokens: number, need: number, want: number): number =>
      leaseFrom({ tokens, at: 0 }, rate, { need, want, back: 0 }, 0).granted;
    expect([lease(20, 1, 1), lease(20, 0, 20), lease(20, 12, 20), lease(20, 30, 30), lease(0.9, 1, 1)]).toEqual([
      1, 5, 12, 20, 0,
    ]);
  });

  test('what comes back never makes more than the burst, a debt never less than nothing', () => {
    const left = (back: number): number =>
      leaseFrom({ tokens: 20, at: 0 }, rate, { need: 0, want: 0, back }, 0).bucket.tokens;
    expect([left(5), left(50), left(-5), left(-50)]).toEqual([25, 30, 15, 0]);
  });
});

describe('one budget over all replicas', () => {
  test('the burst at once, then as fast as it fills; the answer says when', async () => {
    const world = new World();
    expect(await world.admitted(0, 100)).toBe(30);
    expect(await world.take(0)).toEqual({ admitted: false, remaining: 0, nextInSeconds: 1 });
    world.time += 999;
    expect(await world.admitted(0, 10)).toBe(0);
    world.time += 1;
    expect(await world.admitted(0, 10)).toBe(1);
  });

  test('a slow budget says how long to wait', async () => {
    const world = new World();
    const slow = { requestsPerMinute: 10, burst: 5 };
    expect(await world.admitted(0, 10, slow)).toBe(5);
    expect((await world.take(0, slow)).nextInSeconds).toBe(6);
    world.time += 2_500;
    expect((await world.take(0, slow)).nextInSeconds).toBe(4);
  });

  test('nothing stays behind with a replica that asks once: the other one gets all the rest', async () => {
    const world = new World(2);
    expect(await world.admitted(0, 1)).toBe(1);
    expect(await world.admitted(1, 100)).toBe(29);
  });

  test('what an idle replica holds comes back within a second or so', async () => {
    const world = new World(2);
    for (let request = 0; request < 8; request += 1) {
      await world.take(0);
      await settle();
    }
    const first = await world.admitted(1, 100);
    expect(first).toBeLessThan(22);
    await world.pass(1_500);
    // 1.5 s have refilled one token.
    expect(first + (await world.admitted(1, 100))).toBe(23);
  });

  test('a replica that is shut down hands back at once', async () => {
    const world = new World(2);
    for (let request = 0; request < 8; request += 1) {
      await world.take(0);
      await settle();
    }
    await world.limiters[0]?.[Symbol.asyncDispose]();
    expect(await world.admitted(1, 100)).toBe(22);
  });

  test('most requests of a busy budget ask nobody', async () => {
    const world = new World();
    const busy = { requestsPerMinute: 6_000, burst: 500 };
    let [refused, waited] = [0, 0];
    for (let request = 0; request < 5_000; request += 1) {
      world.time += 11;
      const decision = world.limiters[0]?.take({ appId: '1', budget: 'app', policy: 'app', rate: busy });
      if (decision instanceof Promise) waited += 1;
      refused += (await decision)?.admitted === true ? 0 : 1;
      await settle();
    }
    expect(refused).toBe(0);
    // Only while it gets to know the pace.
    expect(waited).toBeLessThan(10);
    expect(world.store.asked).toBeLessThan(150);
  });

  test('who is refused asks nobody either', async () => {
    const world = new World();
    await world.admitted(0, 30);
    const before = world.store.asked;
    for (let request = 0; request < 1_000; request += 1) await world.take(0);
    expect(world.store.asked - before).toBeLessThanOrEqual(1);
  });

  test('another rule holds at once, in both directions', async () => {
    const world = new World();
    await world.admitted(0, 10);
    expect(await world.admitted(0, 100, { requestsPerMinute: 10, burst: 5 })).toBe(5);
    world.time += 6_000;
    expect(await world.admitted(0, 1_000, { requestsPerMinute: 300, burst: 500 })).toBe(30);
  });

  test('another rule while the store is being asked: what it grants for the former one is not spent', async () => {
    const world = new World();
    const former = world.take(0, { requestsPerMinute: 60, burst: 500 });
    const latter = world.take(0, { requestsPerMinute: 60, burst: 1 });
    const admitted = (await Promise.all([former, latter])).map((decision) => decision.admitted);
    expect(admitted.filter(Boolean)).toHaveLength(1);
  });

  test('budgets do not draw on each other', async () => {
    const world = new World();
    await world.admitted(0, 30);
    expect((await world.take(0, rate, 'token:ci')).admitted).toBe(true);
  });

  test('the store is away: each replica goes on with its share of what was left, and tells it afterwards', async () => {
    const world = new World(2);
    expect([await world.admitted(0, 10), await world.admitted(1, 10)]).toEqual([10, 10]);
    world.store.inner.goAway();
    // What it holds, and half of what it last knew to be left: together less than another burst.
    const shares = [await world.admitted(0, 100), await world.admitted(1, 100)];
    expect(Math.min(...shares)).toBeGreaterThan(0);
    expect(shares.reduce((sum, share) => sum + share)).toBeLessThan(30);
    await world.pass(10_000);
    // 60 per minute are 30 for each.
    expect([await world.admitted(0, 100), await world.admitted(1, 100)]).toEqual([5, 5]);
    world.store.inner.comeBack();
    await world.pass(2_000);
    // 12 came, and more than these were spent meanwhile; another one since the store was told.
    expect(await world.admitted(0, 100)).toBe(1);
    await world.pass(2_000);
    expect(await world.admitted(0, 100)).toBe(2);
  });

  test('the store is away from the start: neither blocked nor open', async () => {
    const world = new World(3);
    world.store.inner.goAway();
    expect(await world.admitted(0, 100)).toBe(10);
    expect(await world.admitted(1, 100, { requestsPerMinute: 10, burst: 1 })).toBe(1);
  });

  test('random arrivals: never more than burst and refill, and not much less than were asked for', async () => {
    const arrival = fc.record({
      after: fc.oneof({ weight: 4, arbitrary: fc.nat(50) }, fc.nat(4_000)),
      replica: fc.nat(2),
      requests: fc.integer({ min: 1, max: 12 }),
    });
    const rates = fc.record({
      requestsPerMinute: fc.constantFrom(10, 60, 120, 3_000, 60_000),
      burst: fc.constantFrom(1, 5, 30, 200),
    });
    await fc.assert(
      fc.asyncProperty(rates, fc.array(arrival, { maxLength: 60 }), async (of, arrivals) => {
        const world = new World(3);
        let given = 0;
        for (const { after, replica, requests } of arrivals) {
          await world.pass(after);
          given += await world.admitted(replica, requests, of);
          expect(given).toBeLessThanOrEqual(of.burst + (world.time * of.requestsPerMinute) / 60_000 + 1e-6);
        }
        // Idle replicas hand back: a full burst is there for anyone after the time that it takes.
        await world.pass(1_500 + (of.burst * 60_000) / of.requestsPerMinute);
        expect(await world.admitted(0, of.burst * 2, of)).toBe(of.burst);
      }),
      { numRuns: 60 },
    );
  });
});
