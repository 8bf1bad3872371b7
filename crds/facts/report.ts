import { z } from 'zod';
import type { Keyring } from '../keyring.ts';
import { parseJsonAs } from '../json-text.ts';
import { signatureFault, signText, splitSigned } from '../signed-text.ts';
import { credentialUseFact, MOST_USES } from './credential-use.ts';

const PURPOSE = 'relay-facts';
/** Of the report as a whole; another kind of fact is another field of `facts`, which an older operator passes over. */
const VERSION = 1;

export const factReport = z.object({
  v: z.literal(VERSION),
  /** The relay process, by the id under which it reports to the directory. */
  replica: z.string().min(1).max(300),
  /** Fresh random text per start of the process. */
  boot: z.string().min(1).max(64),
  /**
   * How many reports with facts there have been in this boot, this one included. One without facts repeats the number, so that whoever
   * reads it knows whether something was lost before it, and need not remember it.
   */
  seq: z.int().min(0),
  /** Everything that happened until then has been told. Epoch ms, by the relay's clock. */
  until: z.int().min(0),
  /** Nothing comes after it: the process ends and serves nobody any more. */
  last: z.boolean(),
  /** By kind; empty: nothing new. */
  facts: z.looseObject({ credentialUses: z.array(credentialUseFact).max(MOST_USES).readonly().exactOptional() }),
});
export type FactReport = Readonly<z.infer<typeof factReport>>;
export type Facts = FactReport['facts'];

export const isEmpty = ({ facts }: FactReport): boolean => Object.keys(facts).length === 0;

/** The text of a report. Throws a RangeError when the ring lacks `keyId`. */
export function signReport(keyring: Keyring, keyId: string, report: Omit<FactReport, 'v'>): string {
  return signText(keyring, keyId, PURPOSE, JSON.stringify({ v: VERSION, ...report }));
}

export type ReportFault = 'malformed' | 'unknown_key' | 'not_authentic';

/** Reads what `signReport` wrote. Never throws: Redis is not trusted. */
export function readReport(keyring: Keyring, signed: string): FactReport | { readonly fault: ReportFault } {
  const parts = splitSigned(signed);
  if (parts === undefined) return { fault: 'malformed' };
  const fault = signatureFault(keyring, PURPOSE, parts);
  if (fault !== undefined) return { fault };
  return parseJsonAs(factReport, parts.text) ?? { fault: 'malformed' };
}
