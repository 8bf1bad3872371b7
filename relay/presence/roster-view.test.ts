import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RosterChange } from './presence.ts';
import { RosterView, type RosterDelta } from './roster-view.ts';

const roster = (version: number, users: readonly string[], youngMs = 0) => ({
  version,
  members: new Map(users.map((user) => [user, 'null'])),
  youngMs,
});
const added = (version: number, userId: string): RosterDelta => ({
  previous: version - 1,
  version,
  youngMs: 0,
  added: { userId, info: 'null' },
});
const removed = (version: number, userId: string, youngMs = 0): RosterDelta => ({
  previous: version - 1,
  version,
  youngMs,
  removed: userId,
});
const alone = (): RosterView => new RosterView(() => undefined);
const names = (changes: readonly RosterChange[]): string[] =>
  changes.map((change) => ('added' in change ? `+${change.added.userId}` : `-${change.removed}`));

test('deltas in order are told at once, a repeated one is not, a gap is fetched', () => {
  const view = alone();
  expect(names(view.fetched(roster(5, ['a'])).changes)).toEqual(['+a']);
  expect(names(view.delta(added(6, 'b')).changes)).toEqual(['+b']);
  expect(names(view.delta(added(6, 'b')).changes)).toEqual([]);
  expect(view.delta(removed(8, 'a'))).toEqual({ changes: [], fetchInMs: 0 });
  expect(names(view.fetched(roster(7, ['a', 'b', 'c'])).changes)).toEqual(['+c', '-a']);
  expect([...view.members.keys()]).toEqual(['b', 'c']);
});

test('deltas that come before the first snapshot are applied to it', () => {
  const view = alone();
  expect(view.delta(added(6, 'b')).fetchInMs).toBe(0);
  expect(names(view.fetched(roster(5, ['a'])).changes)).toEqual(['+a', '+b']);
});

test('a delta of another history is no step of this one, and does not stay', () => {
  const view = alone();
  view.fetched(roster(5, ['a']));
  expect(view.delta({ ...added(9, 'b'), previous: 4 })).toEqual({ changes: [], fetchInMs: 0 });
  expect(view.fetched(roster(6, ['c']))).toMatchObject({ fetchInMs: 200 });
  expect(view.fetched(roster(6, ['c']))).toEqual({ changes: [], fetchInMs: undefined });
  expect([...view.members.keys()]).toEqual(['c']);
});

test('an older snapshot that overtook deltas changes nothing', () => {
  const view = alone();
  view.fetched(roster(5, ['a']));
  view.delta(added(6, 'b'));
  expect(view.fetched(roster(5, ['a'])).changes).toEqual([]);
  expect([...view.members.keys()]).toEqual(['a', 'b']);
});

test('while the store is being filled again nobody goes; afterwards they do', () => {
  const view = alone();
  view.fetched(roster(5, ['a', 'b']));
  expect(view.fetched(roster(100, ['c'], 900))).toMatchObject({ fetchInMs: 900 });
  expect([...view.members.keys()]).toEqual(['a', 'b', 'c']);
  expect(view.delta(removed(101, 'c', 500))).toEqual({ changes: [], fetchInMs: 500 });
  expect(names(view.fetched(roster(103, ['a'])).changes).toSorted()).toEqual(['-b', '-c']);
});

test('whoever has a socket here is a member, whatever the store says', () => {
  const here = new Set(['a']);
  const view = new RosterView((userId) => (here.has(userId) ? '1' : undefined));
  expect(names(view.changedHere('a'))).toEqual(['+a']);
  expect(view.fetched(roster(5, [])).changes).toEqual([]);
  view.delta(added(6, 'a'));
  expect(view.delta(removed(7, 'a')).changes).toEqual([]);
  here.delete('a');
  expect(names(view.changedHere('a'))).toEqual(['-a']);
});

test('however deltas are lost, doubled and delayed: told changes alternate, and a fetch makes it right', () => {
  const users = ['a', 'b', 'c'] as const;
  const step = fc.record({
    user: fc.constantFrom(...users),
    fate: fc.constantFrom('arrives', 'lost', 'twice', 'late', 'fetch'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const view = alone();
      const truth = new Set<string>();
      const told = new Set<string>();
      const late: RosterDelta[] = [];
      let version = 10;
      const tell = (changes: readonly RosterChange[]): void => {
        for (const change of changes) {
          if ('added' in change) expect(told.has(change.added.userId)).toBe(false);
          else expect(told.has(change.removed)).toBe(true);
          if ('added' in change) told.add(change.added.userId);
          else told.delete(change.removed);
        }
      };
      tell(view.fetched(roster(version, [])).changes);
      for (const { user, fate } of steps) {
        version += 1;
        const delta = truth.has(user) ? removed(version, user) : added(version, user);
        if (!truth.delete(user)) truth.add(user);
        if (fate === 'late') late.push(delta);
        if (fate === 'arrives' || fate === 'twice') tell(view.delta(delta).changes);
        if (fate === 'twice') tell(view.delta(delta).changes);
        if (fate === 'fetch') {
          tell(view.fetched(roster(version, [...truth])).changes);
          for (const one of late.splice(0)) tell(view.delta(one).changes);
        }
      }
      tell(view.fetched(roster(version, [...truth])).changes);
      expect([...told].toSorted()).toEqual([...truth].toSorted());
      expect([...view.members.keys()].toSorted()).toEqual([...truth].toSorted());
    }),
  );
});
