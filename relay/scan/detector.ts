import type { DetectorName } from '#crds/secret-scanning.ts';

/** A part of a text, in UTF-16 code units; `end` is after the last one. */
export type Span = { readonly start: number; readonly end: number };

/**
 * Finds one kind of secret in plain text.
 *
 * A detector MUST take time linear in the text, whatever an attacker puts into it: look for an anchor, look at a bounded stretch around it
 * or take a whole run of characters once, and go on behind it.
 */
export type Detector = {
  readonly name: DetectorName;
  /** All that it finds are long stretches of digits (mayHaveStretch), which are looked for once for all such detectors. */
  readonly ofDigits?: true;
  /** False: `find` would find nothing. Cheap, because it is asked of every event. */
  readonly mayOccur: (text: string) => boolean;
  /** In order, without overlaps. */
  readonly find: (text: string) => readonly Span[];
};
