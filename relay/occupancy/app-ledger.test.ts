import { beforeEach, expect, test } from 'vitest';
import { AppLedger } from './app-ledger.ts';
import { REAPED, type Applied } from './store.ts';

const now = new Map<string, number>();
let ledger: AppLedger;
beforeEach(() => {
  now.clear();
  ledger = new AppLedger('1', {
    count: (_, field) => ({ count: now.get(field) ?? 0, info: '' }),
    fields: () => now.keys(),
  });
});

const set = (field: string, count: number): void => {
  if (count > 0) now.set(field, count);
  else now.delete(field);
  ledger.changed(field);
};
const drafted = (most = 500): unknown => {
  const draft = ledger.draft(most);
  return draft && [draft.restoring, ...draft.items.map(({ field, count }) => `${field}=${count}`)];
};
const applied = (
  fields: Partial<Extract<Applied, { outcome: 'applied' }>> = {},
): Extract<Applied, { outcome: 'applied' }> => ({
  outcome: 'applied',
  granted: 0,
  connections: 0,
  refused: new Set(),
  rosters: new Map(),
  enqueued: 0,
  dueInMs: undefined,
  ...fields,
});

test('tells what changed, once, in parts', () => {
  set('a', 1);
  set('b', 2);
  expect(drafted(1)).toEqual([false, 'a=1']);
  set('a', 3);
  ledger.applied('1', applied());
  expect(drafted()).toEqual([false, 'b=2', 'a=3']);
  ledger.applied('2', applied());
  set('a', 3);
  expect(drafted()).toBeUndefined();
  expect([ledger.hasWork(), ledger.isEmpty(), ledger.mark]).toEqual([false, false, '2']);
  set('a', 0);
  set('b', 0);
  drafted();
  ledger.applied('3', applied());
  expect(ledger.isEmpty()).toBe(true);
});

test('a write without an answer may have arrived: what the store has decides', () => {
  set('a', 1);
  drafted();
  ledger.away();
  set('a', 0);
  expect(ledger.isSuspect()).toBe(true);
  ledger.recover({ mark: '1', counts: new Map([['a', 1]]) });
  expect(drafted()).toEqual([false, 'a=0']);
});

test('what the store lost is told again as it was, and then what changed', () => {
  set('a', 1);
  set('b', 1);
  drafted();
  ledger.applied('1', applied());
  set('b', 0);
  set('c', 1);
  ledger.touched = true;
  ledger.recover({ mark: '', counts: new Map() });
  expect([ledger.touched, ledger.mark]).toEqual([false, '']);
  expect(drafted()).toEqual([true, 'a=1', 'b=1']);
  ledger.applied('2', applied());
  expect(drafted()).toEqual([false, 'b=0', 'c=1']);
});

test('taken for dead: all is told anew, as news', () => {
  set('a', 1);
  drafted();
  ledger.applied('1', applied());
  ledger.stale();
  ledger.recover({ mark: REAPED, counts: new Map() });
  expect(ledger.mark).toBe(REAPED);
  expect(drafted()).toEqual([false, 'a=1']);
});

test('claims: granted in order, the refused and those who left are nobody’s place', async () => {
  let hasLeft = false;
  now.set('#', 4);
  const claims = [
    ledger.claim(2, () => hasLeft),
    ledger.claim(2, () => false),
    ledger.claim(2, () => false),
    ledger.claim(2, () => false),
  ];
  hasLeft = true;
  now.set('#', 3);
  const draft = ledger.draft(500);
  expect(draft?.items).toEqual([{ field: '#', count: 0, info: '', limit: 2, claim: 3 }]);
  ledger.applied('1', applied({ granted: 2, connections: 7 }));
  expect(await Promise.all(claims)).toEqual([false, true, true, false]);
  expect([ledger.elsewhere, ledger.toldAhead('#')]).toEqual([5, 2]);
  // The refused one is still among the connections.
  ledger.changed('#');
  expect(drafted()).toBeUndefined();
});

test('joins: whoever waits is told in, full, or away', async () => {
  now.set('presence-a\nann', 1);
  now.set('presence-a\nbob', 1);
  const joins = [ledger.ask('presence-a\nann', 1), ledger.ask('presence-a\nbob', 1)];
  drafted();
  ledger.applied('1', applied({ refused: new Set(['presence-a\nbob']) }));
  expect(await Promise.all(joins)).toEqual(['in', 'full']);
  now.set('presence-a\nann', 2);
  const another = ledger.ask('presence-a\nann', 1);
  drafted();
  ledger.away();
  expect(await another).toBe('away');
});
