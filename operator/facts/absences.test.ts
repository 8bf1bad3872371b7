import { expect, test } from 'vitest';
import { Absences } from './absences.ts';
import type { SourceState } from './progress.ts';

const sources = (...states: (readonly [replica: string, ended: boolean])[]): Map<string, SourceState> =>
  new Map(states.map(([replica, ended]) => [replica, { replica, boot: 'b', seq: 0, until: 0, ended }]));
const NOBODY = { gone: [], gap: undefined };
const LONG = 90_001;

test('a member is waited for however long it is silent', () => {
  const absences = new Absences();
  absences.heard('a', 0);
  expect(absences.look(sources(['a', false]), ['a'], 10 * LONG)).toEqual(NOBODY);
});

test('one that is no member any more and silent has died', () => {
  const absences = new Absences();
  absences.heard('a', 0);
  expect(absences.look(sources(['a', false]), ['b'], LONG - 1)).toEqual(NOBODY);
  expect(absences.look(sources(['a', false]), ['b'], LONG)).toEqual({ gone: ['a'], gap: 'died' });
});

test('one that said so is forgotten, and nothing is missing', () => {
  const absences = new Absences();
  absences.heard('a', 0);
  expect(absences.look(sources(['a', true]), [], LONG)).toEqual({ gone: ['a'], gap: undefined });
});

test('a new leader waits for everybody anew', () => {
  const absences = new Absences();
  expect(absences.look(sources(['a', false]), [], 50 * LONG)).toEqual(NOBODY);
  expect(absences.look(sources(['a', false]), [], 51 * LONG)).toEqual({ gone: ['a'], gap: 'died' });
});

test('who counts is not known: nobody has left', () => {
  const absences = new Absences();
  absences.heard('a', 0);
  expect(absences.look(sources(['a', false]), undefined, LONG)).toEqual(NOBODY);
});

test('a member that leaves without ever having told may have had something to tell', () => {
  const absences = new Absences();
  expect(absences.look(sources(), ['old'], 0)).toEqual(NOBODY);
  expect(absences.look(sources(), [], 1)).toEqual({ gone: [], gap: 'silent' });
  expect(absences.look(sources(), [], 2)).toEqual(NOBODY);
});

test('a member that tells soon has told everything; one that begins late was of an older version before', () => {
  const absences = new Absences();
  absences.look(sources(), ['new', 'updated'], 0);
  expect(absences.look(sources(['new', false]), ['new', 'updated'], LONG - 1)).toEqual(NOBODY);
  expect(absences.look(sources(['new', false], ['updated', false]), ['new', 'updated'], LONG)).toEqual({
    gone: [],
    gap: 'silent',
  });
});
