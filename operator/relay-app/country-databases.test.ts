import { expect, test } from 'vitest';
import { LACKS_GEOIP } from '#crds/directory/report.ts';
import type { MemberView } from '../directory/enforcement.ts';
import { EnforcementWatch } from '../directory/enforcement-watch.ts';
import { monotonicClock } from '../directory/clock.ts';
import { onDatabasesChange, withoutDatabase } from './country-databases.ts';

const member = (id: string, lacks: readonly string[] | undefined): MemberView => ({
  id,
  epoch: 1,
  revision: 1,
  admitted: true,
  rejected: new Set(),
  silent: false,
  lacks: lacks && new Set(lacks),
});
const view = (...members: MemberView[]) => ({ head: { epoch: 1, revision: 1 }, members });
const having = (id: string): MemberView => member(id, []);
const lacking = (id: string): MemberView => member(id, [LACKS_GEOIP]);

test.each([
  ['no relay', view(), undefined],
  ['one that has not reported', view(lacking('a'), member('b', undefined)), undefined],
  ['each has one', view(having('a'), member('b', ['moon'])), { relays: 'none' }],
  ['none has one', view(lacking('b'), lacking('a')), { relays: 'all' }],
  ['some have none', view(lacking('c'), having('b'), lacking('a')), { relays: 'some', named: 'a, c' }],
])('%s', (_, seen, expected) => {
  expect(withoutDatabase(seen)).toEqual(expected);
});

test('a rollout among relays that all have a database, or none, is no news; a database that comes or goes is', () => {
  const watch = new EnforcementWatch(monotonicClock);
  let told = 0;
  const stop = onDatabasesChange(watch, () => (told += 1));
  const after = (...members: MemberView[]): number => {
    watch.update(view(...members));
    return told;
  };
  expect(after(having('a'))).toBe(1);
  expect(after(having('a'), having('b'))).toBe(1);
  expect(after(having('b'))).toBe(1);
  expect(after(lacking('b'))).toBe(2);
  expect(after(lacking('b'), lacking('c'))).toBe(2);
  expect(after(lacking('c'))).toBe(2);
  expect(after(lacking('c'), having('d'))).toBe(3);
  stop();
  expect(after(having('d'))).toBe(3);
});
