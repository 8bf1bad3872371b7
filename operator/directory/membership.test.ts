import { expect, test } from 'vitest';
import type { ReplicaReport } from '#crds/directory/report.ts';
import { sampleReport } from '#test/parts/sample-report.ts';
import { depart, departures, hear, isSilent, startMembership } from './membership.ts';
import type { Membership } from './membership.ts';

const report = (nonce: string, beat: number, change: Partial<ReplicaReport> = {}): ReplicaReport =>
  sampleReport({ nonce, beat, revision: beat, admitted: true, ...change });
const runOf = (membership: Membership) => membership.members.get('a')?.nonce;

test('a newer boot takes the place; a late report of the dead one does not take it back, one that beats on does', () => {
  let membership = hear(startMembership([], 0), [['a', report('old', 5)]], 0);
  membership = hear(membership, [['a', report('new', 1)]], 1);
  expect(runOf(membership)).toBe('new');
  membership = hear(membership, [['a', report('old', 5)]], 2);
  expect(runOf(membership)).toBe('new');
  // The dead one's last words arrive after the first words of the new one: only for a moment.
  membership = hear(membership, [['a', report('old', 6)]], 3);
  membership = hear(membership, [['a', report('new', 2)]], 4);
  expect(runOf(membership)).toBe('new');
});

test('one that was let go and beats on counts again', () => {
  let membership = hear(startMembership([], 0), [['a', report('run', 5)]], 0);
  membership = depart(membership, { id: 'a', nonce: 'run' });
  expect(hear(membership, [['a', report('run', 5)]], 1).members.size).toBe(0);
  expect(hear(membership, [['a', report('run', 6)]], 1).members.size).toBe(1);
});

test('an earlier beat of the same run, as after a Redis rollback, changes nothing', () => {
  const membership = hear(startMembership([], 0), [['a', report('run', 5)]], 0);
  expect(hear(membership, [['a', report('run', 4)]], 1)).toBe(membership);
});

test('who leaves without a look: bye, and a fence that must have closed', () => {
  const fenced = hear(startMembership([], 0), [['a', report('run', 1, { fenceAfterMs: 10_000 })]], 1_000);
  expect(departures(fenced, 1_000 + 20_000)).toEqual([]);
  expect(departures(fenced, 1_000 + 20_001)).toEqual([{ id: 'a', nonce: 'run', why: 'fenced' }]);
  const leaving = hear(startMembership([], 0), [['a', report('run', 1, { bye: true })]], 0);
  expect(departures(leaving, 0)).toEqual([{ id: 'a', nonce: 'run', why: 'bye' }]);
  const silent = startMembership([{ id: 'a', nonce: 'run', podUid: null, fenceAfterMs: null }], 0);
  expect(departures(silent, 1e9)).toEqual([]);
  const [member] = silent.members.values();
  expect(member && isSilent(member, 6_000)).toBe(false);
  expect(member && isSilent(member, 6_001)).toBe(true);
});
