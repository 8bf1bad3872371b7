import { z } from 'zod';
import { parseJsonAs } from '../json-text.ts';
import { position } from './position.ts';

/** In `lacks`: there is no database of countries, so no address is in any. */
export const LACKS_GEOIP = 'geoip';

/** What one relay process says of itself in `{rly:dir}:replicas`, after progress and every 2 s. One report per worker process. */
export const replicaReport = position.extend({
  /** Fresh random text per boot, and after a fence: names the run whose memory this is. */
  nonce: z.string().min(1).max(64),
  /** Grows with each report of this nonce. */
  beat: z.int().min(0),
  admitted: z.boolean(),
  /** Keys of entries that it does not enforce as published: unknown version or critical field, or not authentic. */
  rejected: z.array(z.string()),
  /** Entry versions that it reads. */
  formats: z.array(z.int()),
  /** Ids of its DIRECTORY_KEYS. */
  keyIds: z.array(z.string()),
  podUid: z.string().nullable(),
  /** RELAY_FENCE_AFTER in milliseconds; null: it never fences itself. */
  fenceAfterMs: z.int().min(1).nullable(),
  /** What this relay cannot do for lack of something that it needs (`LACKS_GEOIP`). Relays of an earlier version say nothing. */
  lacks: z.array(z.string()).default([]),
  /** It has closed its sockets and leaves. */
  bye: z.boolean(),
});
export type ReplicaReport = Readonly<z.infer<typeof replicaReport>>;

/** On the notify channel: the report that has just been written, with its owner. */
export const announcement = z.object({ id: z.string().min(1), report: replicaReport });
export type Announcement = Readonly<z.infer<typeof announcement>>;

/** Parses one value of the replicas hash. undefined: not a report, which is as good as no report. */
export function parseReport(text: string): ReplicaReport | undefined {
  return parseJsonAs(replicaReport, text);
}

/** undefined: not an announcement; the report that it may have been about is read with the next beat. */
export function parseAnnouncement(text: string): Announcement | undefined {
  return parseJsonAs(announcement, text);
}
