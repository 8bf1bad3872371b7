import { pino } from 'pino';
import { expect, test } from 'vitest';
import { FakeClock } from '#test/parts/fake-clock.ts';
import { MemoryTokenInstallation, type Calls } from '#test/parts/memory-token-installation.ts';
import { Controller } from '../engine/controller.ts';

// A thousand tokens that were made in one minute and are due in one: the real queue, reconciler and plan on a clock that the test moves, over
// ports in memory whose every write takes its time.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TOKENS = 1_000;
const CONCURRENCY = 4;
/** Of one write to the API server or PostgreSQL: slow ones. */
const WRITE_MS = 100;

test('a thousand tokens that are due in one minute: spread, a few at once, none late', async () => {
  const clock = new FakeClock();
  const born = clock.now();
  const interval = 90 * DAY;
  let reconciles = 0;
  let underWay = 0;
  let most = 0;
  const promotions: number[] = [];
  const handedOut = new Map<string, number>();
  /** By name, since it was last emptied. */
  const writes = new Map<string, number>();
  const tokens = new Map(
    Array.from({ length: TOKENS }, (_, index) => {
      const installation = new MemoryTokenInstallation();
      const key = `shop/token-${index}`;
      const calls: Calls = async (name, call) => {
        if (name.startsWith('find') || name.startsWith('read')) return call();
        await clock.sleep(WRITE_MS);
        installation.now = clock.now();
        writes.set(name, (writes.get(name) ?? 0) + 1);
        if (name === 'replaceSecret') handedOut.set(key, clock.now());
        if (name === 'promoteToken') promotions.push(clock.now());
        return call();
      };
      const reconcile = installation.operator(calls);
      return [key, { installation, reconcile }];
    }),
  );
  const controller = new Controller({
    name: 'relaytoken',
    clock,
    random: () => 0.5,
    newId: () => 'r',
    log: pino({ level: 'silent' }),
    concurrency: CONCURRENCY,
    reconcile: async (key) => {
      const token = tokens.get(key);
      if (token === undefined) return { kind: 'done' };
      reconciles += 1;
      underWay += 1;
      most = Math.max(most, underWay);
      token.installation.now = clock.now();
      try {
        return await token.reconcile();
      } finally {
        underWay -= 1;
      }
    },
  });
  const stop = new AbortController();
  const running = controller.run(stop.signal);
  for (const key of tokens.keys()) controller.enqueue(key);

  await clock.advance(10 * MINUTE);
  expect([...tokens.values()].every(({ installation }) => installation.rows.length === 1)).toBe(true);
  const activated = [...tokens.values()].map(({ installation }) => installation.rows[0]?.activatedAt ?? 0);
  writes.clear();
  await clock.advance(born + interval - HOUR - clock.now() - MINUTE);
  expect(promotions).toEqual([]);
  expect(Object.fromEntries(writes)).toEqual({ announce: TOKENS });
  writes.clear();
  most = 0;
  await clock.advance(HOUR + 11 * MINUTE);

  expect(promotions).toHaveLength(TOKENS);
  // Those of one minute are no more than chance makes of a thousand over an hour.
  const minutes = Map.groupBy(promotions, (at) => Math.floor(at / MINUTE));
  expect(Math.max(...[...minutes.values()].map(({ length }) => length))).toBeLessThan(50);
  expect(minutes.size).toBeGreaterThanOrEqual(54);
  expect(most).toBeLessThanOrEqual(CONCURRENCY);
  // Issued, announced a week before, rotated: nobody is looked at for nothing.
  expect(reconciles).toBe(3 * TOKENS);
  // Each is in its Secret before the interval is over, and has cost no more than its own six writes: nothing was tried twice.
  const late = [...tokens.keys()].filter(
    (key, index) => (handedOut.get(key) ?? Infinity) > (activated[index] ?? 0) + interval,
  );
  expect(late).toEqual([]);
  expect(Object.fromEntries(writes)).toEqual({
    mintToken: TOKENS,
    createSecret: TOKENS,
    replaceSecret: TOKENS,
    promoteToken: TOKENS,
    deleteSecret: TOKENS,
    writeStatus: TOKENS,
  });
  stop.abort();
  await running;
}, 60_000);
