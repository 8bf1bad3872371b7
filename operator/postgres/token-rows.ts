import { tokenEntryKey, type EntryChange } from '#crds/directory/entry-body.ts';
import type { Rate } from '#crds/rate.ts';
import type { Subject } from '../registry/subject.ts';
import type { TokenRow } from '../registry/token-registry.ts';

/** A row of `token`. */
export type StoredRow = {
  sha256: string;
  id: string;
  app_id: string;
  object_uid: string;
  environment: TokenRow['environment'];
  scopes: string[] | null;
  rate: Rate | null;
  state: TokenRow['state'];
  created_at: Date;
  activated_at: Date | null;
  retiring_at: Date | null;
  expires_at: Date | null;
  grace_until: Date | null;
  rotate_request: string | null;
  revision: number;
  changed_at: Date;
};

export function readRow(row: StoredRow): TokenRow {
  return {
    sha256: row.sha256,
    id: row.id,
    appId: row.app_id,
    objectUid: row.object_uid,
    environment: row.environment,
    policy: { scopes: row.scopes, rate: row.rate },
    state: row.state,
    createdAt: row.created_at.getTime(),
    activatedAt: row.activated_at?.getTime() ?? null,
    retiringAt: row.retiring_at?.getTime() ?? null,
    expiresAt: row.expires_at?.getTime() ?? null,
    graceUntil: row.grace_until?.getTime() ?? null,
    rotateRequest: row.rotate_request,
    revision: row.revision,
    changedAt: row.changed_at.getTime(),
  };
}

export const dateOf = (ms: number | null): Date | null => (ms === null ? null : new Date(ms));

export const idsOf = (rows: readonly TokenRow[]): string[] => rows.map((row) => row.id);

/** What a change of rows that stay in the directory comes to. */
export function published(subject: Subject, rows: readonly TokenRow[]) {
  return {
    hashes: rows.map((row) => row.sha256),
    changes: rows.map((row) => entry(subject, row)),
    detail: { tokens: idsOf(rows) },
  };
}

export function replacing(
  subject: Subject,
  fresh: readonly TokenRow[],
  retired: readonly TokenRow[],
  revoked: readonly TokenRow[],
) {
  const { hashes, changes } = published(subject, [...fresh, ...retired]);
  return {
    hashes: [...hashes, ...revoked.map((row) => row.sha256)],
    changes: [...changes, ...revoked.map(removal)],
    detail: { retired: idsOf(retired), revoked: idsOf(revoked) },
  };
}

/** One that is over by the operator's clock is so for every relay, whatever its own clock says. */
const LONG_AGO = 0;

export function entry({ namespace, name }: Subject, row: TokenRow): EntryChange {
  const { id, appId, environment, state } = row;
  const { scopes, rate } = row.policy;
  const end =
    state === 'Expired'
      ? { expiresAt: LONG_AGO, graceUntil: null }
      : { expiresAt: row.expiresAt, graceUntil: row.graceUntil };
  const policy = { scopes: scopes === null ? null : [...scopes], rate };
  const rotated = state === 'Retiring' || state === 'Ending';
  return {
    key: tokenEntryKey(row.sha256),
    body: { id, appId, namespace, name, environment, rotated, ...end, ...policy },
  };
}

export function removal(row: TokenRow): EntryChange {
  return { key: tokenEntryKey(row.sha256), body: null };
}
