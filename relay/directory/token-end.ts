import type { TokenEntryBody } from '#crds/directory/entry-body.ts';

type End = Pick<TokenEntryBody, 'expiresAt' | 'graceUntil'>;

/** Whether a token is let in: until its end, and then for as long as its grace lasts. @param now epoch milliseconds */
export function isAccepted({ expiresAt, graceUntil }: End, now: number): boolean {
  return expiresAt === null || now < expiresAt || (graceUntil !== null && now < graceUntil);
}

/** From when on it is not; undefined: no end is known. */
export function acceptedUntil({ expiresAt, graceUntil }: End): number | undefined {
  return expiresAt === null ? undefined : Math.max(expiresAt, graceUntil ?? 0);
}
