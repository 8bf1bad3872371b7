import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgeRetirement, type Retiring } from './retirement.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const SINCE = Date.UTC(2027, 0, 1);
const retiring = (changes: Partial<Retiring> = {}): Retiring => ({
  since: SINCE,
  overlap: 7 * DAY,
  deadline: 28 * DAY,
  use: null,
  useKnownUntil: SINCE + 100 * DAY,
  ...changes,
});
const usedAt = (lastUsedAt: number): Retiring['use'] => ({ lastUsedAt, requests: 1, client: null });

describe('when a replaced credential goes', () => {
  test('both work during the overlap, used or not', () => {
    expect(judgeRetirement(retiring(), SINCE + 7 * DAY - 1)).toEqual({ kind: 'overlap', until: SINCE + 7 * DAY });
  });

  test('after the overlap it goes when nobody used it for a day', () => {
    expect(judgeRetirement(retiring({ use: usedAt(SINCE + 6 * DAY) }), SINCE + 7 * DAY)).toEqual({
      kind: 'end',
      inUse: false,
    });
  });

  test('after the overlap it stays while it is used, and is looked at every hour', () => {
    const now = SINCE + 7 * DAY;
    expect(judgeRetirement(retiring({ use: usedAt(now - HOUR) }), now)).toEqual({
      kind: 'inUse',
      until: now + HOUR,
      certain: true,
    });
    expect(judgeRetirement(retiring({ use: usedAt(now - DAY + 1) }), now)).toEqual({
      kind: 'inUse',
      until: now + 1,
      certain: true,
    });
  });

  test('after the overlap it stays while nobody can say whether it is used', () => {
    const now = SINCE + 7 * DAY;
    expect(judgeRetirement(retiring({ useKnownUntil: null }), now)).toMatchObject({ kind: 'inUse', certain: false });
    expect(judgeRetirement(retiring({ useKnownUntil: now - 300_001 }), now)).toMatchObject({
      kind: 'inUse',
      certain: false,
    });
    expect(judgeRetirement(retiring({ useKnownUntil: now - 300_000 }), now)).toEqual({ kind: 'end', inUse: false });
  });

  test('at the deadline it goes, and whether somebody used it is said', () => {
    const now = SINCE + 28 * DAY;
    expect(judgeRetirement(retiring({ use: usedAt(now - 1) }), now)).toEqual({ kind: 'end', inUse: true });
    expect(judgeRetirement(retiring({ useKnownUntil: null }), now)).toEqual({ kind: 'end', inUse: false });
  });

  test('a short overlap asks for no longer silence than itself', () => {
    const short = retiring({ overlap: 2_000, deadline: 8_000 });
    expect(judgeRetirement({ ...short, use: usedAt(SINCE) }, SINCE + 2_000)).toEqual({ kind: 'end', inUse: false });
  });

  test('it never goes before the overlap, never stays beyond the deadline, and is always looked at again in time', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 * DAY }),
        fc.integer({ min: 0, max: 60 * DAY }),
        fc.option(fc.integer({ min: -90 * DAY, max: 120 * DAY })),
        fc.option(fc.integer({ min: -90 * DAY, max: 120 * DAY })),
        fc.integer({ min: 0, max: 200 * DAY }),
        (overlap, more, used, known, after) => {
          const now = SINCE + after;
          const deadline = overlap + more;
          const use = used === null ? null : usedAt(SINCE + used);
          const useKnownUntil = known === null ? null : SINCE + known;
          const verdict = judgeRetirement({ since: SINCE, overlap, deadline, use, useKnownUntil }, now);
          expect(verdict.kind === 'overlap').toBe(after < overlap);
          if (after >= deadline) expect(verdict.kind).toBe('end');
          if (verdict.kind !== 'end') {
            expect(verdict.until).toBeGreaterThan(now);
            expect(verdict.until).toBeLessThanOrEqual(Math.max(SINCE + deadline, now + HOUR));
          }
        },
      ),
    );
  });
});
