import { expect, test } from 'vitest';
import { MOST_QUIET_MS } from '../rotation/retirement.ts';
import { knownUntil } from './knowledge.ts';
import type { SourceState } from './progress.ts';

const NOW = 10 * MOST_QUIET_MS;
const ago = (seconds: number): number => NOW - seconds * 1_000;
const source = (replica: string, until: number, ended = false): [string, SourceState] => [
  replica,
  { replica, boot: 'b', seq: 0, until, ended },
];
const a = source('a', ago(3));
const b = source('b', ago(40));

test.each<[name: string, sources: [string, SourceState][], members: string[], since: number, known: number | null]>([
  ['as long as the slowest has told', [a, b], ['a', 'b'], 0, ago(40)],
  ['a member that never told', [a], ['a', 'b'], 0, null],
  ['no member at all: nobody can say', [a], [], 0, null],
  ['somebody who told, is no member (any more, or yet) and said no last word', [a, b], ['a'], 0, ago(40)],
  ['somebody who said so and left', [a, source('b', ago(4_000), true)], ['a'], 0, ago(3)],
  ['a loss less than a day ago', [a], ['a'], NOW - MOST_QUIET_MS + 1, null],
  ['a loss a day ago', [a], ['a'], NOW - MOST_QUIET_MS, ago(3)],
])('%s', (_name, sources, members, since, known) => {
  expect(knownUntil({ sources: new Map(sources), since }, members, NOW)).toBe(known);
});
