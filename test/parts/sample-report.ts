import type { ReplicaReport } from '#crds/directory/report.ts';

/** What a relay of nothing special says that has applied the first revision. */
export const sampleReport = (change: Partial<ReplicaReport> = {}): ReplicaReport => ({
  nonce: 'n1',
  beat: 1,
  epoch: 1,
  revision: 1,
  admitted: false,
  rejected: [],
  formats: [1],
  keyIds: ['k1'],
  podUid: null,
  fenceAfterMs: null,
  lacks: [],
  bye: false,
  ...change,
});
