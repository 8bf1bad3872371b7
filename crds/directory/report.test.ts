import { expect, test } from 'vitest';
import { parseReport } from './report.ts';

const report = {
  nonce: 'n1',
  beat: 1,
  epoch: 1,
  revision: 1,
  admitted: true,
  rejected: [],
  formats: [1],
  keyIds: ['k1'],
  podUid: null,
  fenceAfterMs: null,
  bye: false,
};

test('a relay of an earlier version says nothing of what it lacks, and lacks nothing', () => {
  expect(parseReport(JSON.stringify(report))?.lacks).toEqual([]);
});

test('what a later version lacks is kept, also when this one does not know it', () => {
  expect(parseReport(JSON.stringify({ ...report, lacks: ['geoip', 'moon'] }))?.lacks).toEqual(['geoip', 'moon']);
});
