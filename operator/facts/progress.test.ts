import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { FactReport } from '#crds/facts/report.ts';
import { takeReport, type Gap, type SourceState } from './progress.ts';

const NOW = 1_000_000;
const facts = { credentialUses: [{ appId: '1', credential: 'k1', at: 1, requests: 1, client: null }] };
const report = (change: Partial<FactReport> = {}): FactReport => ({
  v: 1,
  replica: 'relay-0',
  boot: 'b1',
  seq: 1,
  until: 5_000,
  last: false,
  facts,
  ...change,
});
const empty = (change: Partial<FactReport> = {}): FactReport => report({ facts: {}, ...change });
const source = (change: Partial<SourceState> = {}): SourceState => ({
  replica: 'relay-0',
  boot: 'b1',
  seq: 3,
  until: 4_000,
  ended: false,
  ...change,
});

type Expected = {
  readonly news: boolean;
  readonly gap?: Gap;
  readonly changed: boolean;
  readonly source: Partial<SourceState>;
};

test.each<[name: string, known: SourceState | undefined, report: FactReport, expected: Expected]>([
  ['the first, empty', undefined, empty({ seq: 0 }), { news: false, changed: true, source: { seq: 0, until: 5_000 } }],
  ['the first, with facts', undefined, report(), { news: true, changed: true, source: { seq: 1, until: 5_000 } }],
  [
    'the first that is read, but not the first',
    undefined,
    report({ seq: 3 }),
    { news: true, gap: 'missing', changed: true, source: { seq: 3 } },
  ],
  [
    'the first that is read, empty, after others',
    undefined,
    empty({ seq: 3 }),
    { news: false, gap: 'missing', changed: true, source: { seq: 3 } },
  ],
  ['the next', source(), report({ seq: 4 }), { news: true, changed: true, source: { seq: 4, until: 5_000 } }],
  ['nothing new', source(), empty({ seq: 3 }), { news: false, changed: false, source: { seq: 3, until: 5_000 } }],
  ['the same again', source(), report({ seq: 3 }), { news: false, changed: false, source: { seq: 3 } }],
  [
    'an older one again',
    source(),
    report({ seq: 2 }),
    { news: false, changed: false, source: { seq: 3, until: 4_000 } },
  ],
  [
    'one after the next',
    source(),
    report({ seq: 5 }),
    { news: true, gap: 'missing', changed: true, source: { seq: 5 } },
  ],
  [
    'nothing new since one that is not there',
    source(),
    empty({ seq: 4 }),
    { news: false, gap: 'missing', changed: true, source: { seq: 4 } },
  ],
  ['the last, empty', source(), empty({ seq: 3, last: true }), { news: false, changed: true, source: { ended: true } }],
  [
    'the last, again',
    source({ ended: true }),
    empty({ seq: 3, last: true }),
    { news: false, changed: false, source: { ended: true } },
  ],
  [
    'another boot after a last word',
    source({ ended: true }),
    report({ boot: 'b2' }),
    { news: true, changed: true, source: { boot: 'b2', seq: 1, ended: false } },
  ],
  [
    'another boot after none',
    source(),
    empty({ boot: 'b2', seq: 0 }),
    { news: false, gap: 'died', changed: true, source: { boot: 'b2', seq: 0 } },
  ],
  [
    'a clock that is ahead',
    source(),
    empty({ seq: 3, until: NOW + 1 }),
    { news: false, changed: false, source: { until: NOW } },
  ],
  [
    'a clock that went back',
    source(),
    empty({ seq: 3, until: 1 }),
    { news: false, changed: false, source: { until: 4_000 } },
  ],
])('%s', (_name, known, told, expected) => {
  expect(takeReport(known, told, NOW)).toMatchObject({ gap: undefined, ...expected });
});

test('whatever is repeated or lost: what is taken counts once, and a loss shows with the next that arrives', () => {
  const step = fc.record({ empty: fc.boolean(), copies: fc.integer({ min: 0, max: 3 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      let known: SourceState | undefined;
      let seq = 0;
      let lost = false;
      const arrived: number[] = [];
      const taken: number[] = [];
      for (const { empty: isEmpty, copies } of steps) {
        if (!isEmpty) seq += 1;
        if (!isEmpty && copies === 0) lost = true;
        if (!isEmpty && copies > 0) arrived.push(seq);
        for (let copy = 0; copy < copies; copy += 1) {
          const took = takeReport(known, isEmpty ? empty({ seq }) : report({ seq }), NOW);
          expect(took.gap).toBe(lost ? 'missing' : undefined);
          lost = false;
          if (took.news) taken.push(seq);
          known = took.source;
        }
      }
      expect(taken).toEqual(arrived);
    }),
  );
});
