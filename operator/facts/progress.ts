import { isEmpty, type FactReport } from '#crds/facts/report.ts';

/** How far one relay process was read. */
export type SourceState = {
  readonly replica: string;
  readonly boot: string;
  /** Number of its newest report with facts. */
  readonly seq: number;
  /** Epoch ms: it told everything until then. */
  readonly until: number;
  /** It said that it ends. */
  readonly ended: boolean;
};

export type Progress = {
  /** By replica; of each its newest boot. */
  readonly sources: ReadonlyMap<string, SourceState>;
  /** Epoch ms: since then nothing that relays had to tell was lost. */
  readonly since: number;
};

/** Why something may have been lost for good. */
export type Gap =
  /** The numbers do not follow: Redis lost reports, or somebody took them away. */
  | 'missing'
  /** A process ended without a last report. */
  | 'died'
  /** A relay left, or told for the first time, after it had served without telling: it is of an older version. */
  | 'silent';

export type Taken = {
  readonly source: SourceState;
  /** Its facts were not seen before. */
  readonly news: boolean;
  readonly gap: Gap | undefined;
  /** Worth remembering: more than another moment at which nothing was new. */
  readonly changed: boolean;
};

/**
 * What a report says after all that was read before. Pure. A report without facts repeats the number of the last one with facts, so that
 * it tells of a loss without having to be remembered itself.
 * @param now epoch ms: a relay whose clock is ahead must not be believed about what is still to come
 */
export function takeReport(known: SourceState | undefined, report: FactReport, now: number): Taken {
  const { replica, boot, seq, last } = report;
  const until = Math.min(report.until, now);
  const empty = isEmpty(report);
  const ofThisBoot = known?.boot === boot ? known : undefined;
  if (ofThisBoot !== undefined && (seq < ofThisBoot.seq || ofThisBoot.ended)) {
    return { source: ofThisBoot, news: false, gap: undefined, changed: false };
  }
  const expected = (ofThisBoot?.seq ?? 0) + (empty ? 0 : 1);
  const died = known !== undefined && ofThisBoot === undefined && !known.ended;
  const gap: Gap | undefined = died ? 'died' : seq > expected ? 'missing' : undefined;
  return {
    source: { replica, boot, seq, until: Math.max(until, ofThisBoot?.until ?? 0), ended: last },
    news: !empty && seq >= expected,
    gap,
    changed: ofThisBoot === undefined || seq > ofThisBoot.seq || last,
  };
}
