import { expect, test } from 'vitest';
import { monotonicClock } from '../directory/clock.ts';
import { EnforcementWatch } from '../directory/enforcement-watch.ts';
import { evaluateEnforced, type DirectoryView, type Enforced, type MemberView } from '../directory/enforcement.ts';
import { PendingKeys } from './pending-keys.ts';

const relay = (id: string, revision: number, change: Partial<MemberView> = {}): MemberView => ({
  id,
  epoch: 1,
  revision,
  admitted: true,
  rejected: new Set(),
  silent: false,
  lacks: new Set(),
  ...change,
});
const at = (revision: number, ...members: MemberView[]): DirectoryView => ({ head: { epoch: 1, revision }, members });

/** Objects that wait for their revision, each told what the relays made of it at first. Who is woken is told anew, as by a look. */
function waiting(revisions: readonly number[], first: DirectoryView) {
  const watch = new EnforcementWatch(monotonicClock);
  const pending = new PendingKeys(watch);
  const woken: string[] = [];
  const ask = (revision: number, view: DirectoryView): Enforced =>
    evaluateEnforced({ view, revision, entryKeys: [`app/${revision}`], since: 0, latched: false });
  watch.update(first);
  const stop = pending.start((key) => void woken.push(key));
  const look = (revision: number, view = watch.view()): void => {
    const told = ask(revision, view);
    pending.set(String(revision), told.status === 'True' ? undefined : told);
  };
  for (const revision of revisions) look(revision);
  return {
    pending,
    stop,
    look,
    /** Who is looked at because of that. */
    see: (...members: MemberView[]): readonly string[] => {
      watch.update(at(first.head.revision, ...members));
      const keys = woken.splice(0);
      for (const key of keys) look(Number(key));
      return keys;
    },
    woken,
  };
}

test('a relay that moves on wakes those whose revisions it has passed, and nobody else', () => {
  const { see } = waiting([5, 7, 9, 12], at(20, relay('a', 4), relay('b', 4)));
  expect(see(relay('a', 6), relay('b', 4))).toEqual(['5']);
  expect(see(relay('a', 9), relay('b', 4))).toEqual(['7', '9']);
  expect(see(relay('a', 10), relay('b', 4))).toEqual([]);
  expect(see(relay('a', 10), relay('b', 8))).toEqual(['5', '7']);
  expect(see(relay('a', 20), relay('b', 20)).toSorted()).toEqual(['12', '9']);
  expect(see(relay('a', 21), relay('b', 21))).toEqual([]);
});

test('ten thousand that wait for a relay that starts are each looked at twice: once named, once it has all', () => {
  const revisions = Array.from({ length: 10_000 }, (_, index) => index + 1);
  const { see } = waiting(revisions, at(10_000));
  expect(see(relay('a', 0, { admitted: false })).length).toBe(10_000);
  for (let beat = 0; beat < 50; beat += 1) expect(see(relay('a', beat % 3, { admitted: false }))).toEqual([]);
  expect(see(relay('a', 10_000)).length).toBe(10_000);
  expect(see(relay('a', 10_001))).toEqual([]);
});

test.for<[string, Partial<MemberView>, readonly string[]]>([
  ['falls silent', { silent: true }, ['5', '7']],
  ['rejects the entries of one', { rejected: new Set(['app/7']) }, ['7']],
  ['is of another epoch', { epoch: 0, revision: 30 }, []],
  ['reports that it lacks something', { lacks: new Set(['geoip']) }, []],
])('a relay that %s', ([, change, expected]) => {
  const { see } = waiting([5, 7], at(20, relay('a', 4)));
  expect(see(relay('a', 4, change))).toEqual(expected);
});

test('what the relays said between the look and its end is not missed', () => {
  const before = at(20, relay('a', 4));
  const { see, look, woken } = waiting([], before);
  see(relay('a', 5));
  look(5, before);
  expect(woken).toEqual(['5']);
});

test('an object that waits no longer, and any once nobody listens, is left alone', () => {
  const { see, pending, stop } = waiting([5, 7], at(20, relay('a', 4)));
  pending.set('5', undefined);
  expect(see(relay('a', 6))).toEqual([]);
  stop();
  expect(see(relay('a', 20))).toEqual([]);
});
