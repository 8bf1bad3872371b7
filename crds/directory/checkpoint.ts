import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { parseJsonAs } from '../json-text.ts';
import type { Keyring } from '../keyring.ts';
import { position } from './position.ts';

const PURPOSE = 'directory-checkpoint';
const wholeNumber = z.coerce.number().pipe(z.int().min(0));
const hex32 = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * The whole directory at one (epoch, revision), in a few bytes. `keyId` says which of DIRECTORY_KEYS made digest and MAC, so that both
 * survive a rotation. The MAC keeps a writer of Redis from announcing a directory that the operator never published: an empty one above all.
 */
export const checkpoint = position.extend({
  count: z.int().min(0),
  digest: hex32,
  keyId: z.string().min(1),
  mac: z.string(),
});
export type Checkpoint = Readonly<z.infer<typeof checkpoint>>;

/** The fields of `{rly:dir}:head`, all texts in Redis. */
export const head = z.object({
  epoch: wholeNumber,
  revision: wholeNumber,
  count: wholeNumber,
  digest: hex32,
  keyId: z.string().min(1),
  mac: z.string(),
  beat: wholeNumber,
});
export type Head = Readonly<z.infer<typeof head>>;

/** One revision in the log: where it leads, and the entries that changed. The bytes of a revision never change. */
export const logEntry = checkpoint.extend({
  previous: z.int().min(0),
  /** Texts of crds/directory/entry.ts; removed entries too. */
  changes: z.array(z.string()),
});
export type LogEntry = Readonly<z.infer<typeof logEntry>>;

/** Throws a RangeError when the ring lacks `keyId`. */
export function signCheckpoint(keyring: Keyring, state: Omit<Checkpoint, 'mac'>): Checkpoint {
  const mac = checkpointMac(keyring, state);
  if (mac === undefined) throw new RangeError(`the keyring has no key ${state.keyId}`);
  const { epoch, revision, count, digest, keyId } = state;
  return { epoch, revision, count, digest, keyId, mac: mac.toString('base64url') };
}

export function isAuthentic(keyring: Keyring, state: Checkpoint): boolean {
  const expected = checkpointMac(keyring, state);
  const actual = Buffer.from(state.mac, 'base64url');
  return expected !== undefined && actual.length === expected.length && timingSafeEqual(actual, expected);
}

function checkpointMac(keyring: Keyring, state: Omit<Checkpoint, 'mac'>): Buffer | undefined {
  const key = keyring.derive(state.keyId, PURPOSE);
  if (key === undefined) return undefined;
  const text = [state.keyId, state.epoch, state.revision, state.count, state.digest].join(':');
  return createHmac('sha256', key).update(text).digest();
}

/** Parses the one field of a log entry in the stream. undefined: not ours. */
export function parseLogEntry(text: string): LogEntry | undefined {
  return parseJsonAs(logEntry, text);
}
