import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CacheReplay, REPLAY_GRACE_MS } from './cache-replay.ts';
import { eventTail } from './server-message.ts';

const event = (name: string): Buffer => Buffer.from(eventTail(name, ''));
const count = Buffer.from(eventTail('pusher_internal:subscription_count', '1'));
const [a, b, c] = [event('a'), event('b'), event('c')];
const OLD = REPLAY_GRACE_MS + 1;

/** `after`: what arrives after the answer; `grace`: the time passes at the end. */
function received(given: {
  readonly before?: readonly Buffer[];
  readonly cached?: Buffer;
  readonly ageMs?: number;
  readonly after?: readonly Buffer[];
  readonly grace?: boolean;
}): string[] {
  const replay = new CacheReplay();
  const sent = [
    ...(given.before ?? []).flatMap((tail) => replay.arrived(tail)),
    ...replay.answeredWith(given.cached, given.ageMs ?? 0),
    ...(given.after ?? []).flatMap((tail) => replay.arrived(tail)),
    ...(given.grace === false ? [] : replay.graceOver()),
  ];
  return sent.map((tail) => (JSON.parse(`{${tail.toString()}`) as { event: string }).event);
}

describe('one event at a time', () => {
  test.each([
    ['an empty cache', { before: [a], after: [b] }, ['a', 'b']],
    ['published long before', { cached: a, ageMs: OLD, before: [b], after: [c] }, ['a', 'b', 'c']],
    ['it came both ways', { cached: b, before: [a, b, c] }, ['b', 'c']],
    ['it comes later', { cached: b, before: [a], after: [b, c] }, ['b', 'c']],
    ['it never comes', { cached: a, before: [b], after: [c] }, ['a', 'b', 'c']],
    ['counts are not dropped', { cached: b, before: [count, a, b] }, ['b', 'pusher_internal:subscription_count']],
  ])('%s', (_, given, expected) => expect(received(given)).toEqual(expected));

  test('what comes behind a young event waits for the order to show, and no longer', () => {
    expect(received({ cached: a, after: [b], grace: false })).toEqual(['a']);
    expect(received({ cached: a, ageMs: OLD, after: [b], grace: false })).toEqual(['a', 'b']);
  });
});

test('whenever the subscription happens: nothing is lost after the cached event, nothing comes twice, the order is kept', () => {
  // Events 0…n are kept in order and delivered in order, each some time after it was kept.
  const scenario = fc.record({
    keeps: fc.array(fc.nat(400), { minLength: 1, maxLength: 6 }),
    delays: fc.array(fc.nat(REPLAY_GRACE_MS), { minLength: 6, maxLength: 6 }),
    subscribedAt: fc.nat(2_000),
    askedAfter: fc.nat(50),
    answeredAfter: fc.nat(50),
  });
  fc.assert(
    fc.property(scenario, ({ keeps, delays, subscribedAt, askedAfter, answeredAfter }) => {
      let at = 0;
      let last = 0;
      const events = keeps.map((gap, n) => {
        at += gap;
        last = Math.max(last, at + (delays[n] ?? 0));
        return { n, tail: event(`e${n}`), keptAt: at, arrivesAt: last };
      });
      const asked = subscribedAt + askedAfter;
      const answered = asked + answeredAfter;
      const cached = events.findLast(({ keptAt }) => keptAt <= asked);
      const replay = new CacheReplay();
      const arriving = events.filter(({ arrivesAt }) => arrivesAt > subscribedAt);
      const during = (from: number, to: number): Buffer[] =>
        arriving
          .filter(({ arrivesAt }) => arrivesAt > from && arrivesAt <= to)
          .flatMap(({ tail }) => [...replay.arrived(tail)]);
      const grace = answered + REPLAY_GRACE_MS;
      const sent = [
        ...during(subscribedAt, answered),
        ...replay.answeredWith(cached?.tail, cached === undefined ? 0 : asked - cached.keptAt),
        ...during(answered, grace),
        ...replay.graceOver(),
        ...during(grace, Infinity),
      ];
      const first = cached?.n ?? 0;
      expect(sent.map((tail) => tail.toString())).toEqual(events.slice(first).map(({ tail }) => tail.toString()));
    }),
    { numRuns: 2_000 },
  );
});
