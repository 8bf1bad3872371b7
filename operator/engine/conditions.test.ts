import { describe, expect, test } from 'vitest';
import { mergeConditions, sameMeaning, setCondition, timestamp } from './conditions.ts';
import type { StatusCondition } from './conditions.ts';
import { hasFinalizer, withFinalizer, withoutFinalizer } from './finalizers.ts';

const early = Date.UTC(2026, 0, 1);
const late = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

const ready: StatusCondition = {
  type: 'Ready',
  status: 'True',
  reason: 'Reconciled',
  message: 'fine',
  observedGeneration: 1,
  lastTransitionTime: timestamp(early),
};

describe('setCondition', () => {
  test('keeps the time unless the status changes', () => {
    const [other] = setCondition(
      [ready],
      { ...ready, reason: 'Other', message: 'still fine', observedGeneration: 2 },
      late,
    );
    expect(other).toMatchObject({ reason: 'Other', observedGeneration: 2, lastTransitionTime: '2026-01-01T00:00:00Z' });
    const [changed] = setCondition([ready], { ...ready, status: 'False' }, late);
    expect(changed?.lastTransitionTime).toBe('2026-01-02T03:04:05Z');
  });

  test('gives back the very same list when nothing changed', () => {
    const list = [ready];
    expect(setCondition(list, { ...ready }, late)).toBe(list);
  });

  test('a new condition begins now', () => {
    expect(setCondition([], ready, late)).toEqual([{ ...ready, lastTransitionTime: '2026-01-02T03:04:05Z' }]);
  });
});

test('mergeConditions drops our own that are no longer wanted, and keeps those of others', () => {
  const stalled = { ...ready, type: 'Stalled' };
  const foreign = { ...ready, type: 'Theirs' };
  const merged = mergeConditions([stalled, foreign, ready], [ready], { now: late, owned: ['Ready', 'Stalled'] });
  expect(merged).toEqual([foreign, ready]);
  expect(mergeConditions(merged, [ready], { now: late, owned: ['Ready', 'Stalled'] })).toBe(merged);
});

test.each([
  ['key order', { a: 1, b: 2 }, { b: 2, a: 1 }, true],
  ['undefined and absent', { a: 1, b: undefined }, { a: 1 }, true],
  ['null and absent', { a: null }, {}, false],
  ['order of conditions', [{ type: 'A' }, { type: 'B' }], [{ type: 'B' }, { type: 'A' }], true],
  ['order of other lists', [1, 2], [2, 1], false],
  ['list and object', [], {}, false],
  ['a changed leaf', { a: [{ type: 'A', b: 1 }] }, { a: [{ type: 'A', b: 2 }] }, false],
  ['nothing', undefined, undefined, true],
  ['no status yet', undefined, {}, false],
])('sameMeaning: %s', (_, a, b, same) => {
  expect(sameMeaning(a, b)).toBe(same);
  expect(sameMeaning(b, a)).toBe(same);
});

test('finalizers: only ours comes and goes', () => {
  const object = { metadata: { finalizers: ['theirs', 'ours'] } };
  expect(hasFinalizer(object, 'ours')).toBe(true);
  expect(hasFinalizer({ metadata: {} }, 'ours')).toBe(false);
  expect(withoutFinalizer(object, 'ours')).toEqual(['theirs']);
  expect(withoutFinalizer(object, 'absent')).toBe(object.metadata.finalizers);
  expect(withFinalizer(object, 'ours')).toBe(object.metadata.finalizers);
  expect(withFinalizer({ metadata: {} }, 'ours')).toEqual(['ours']);
});
