import { z } from 'zod';

/** Epoch ms. */
const time = z.int();

/** What the relays told of a credential that is still used, or was until it went (registry/credential-use.ts). */
const use = z.strictObject({ lastUsedAt: time, requests: z.int().min(0), client: z.string().nullable() }).readonly();

const subject = {
  kind: z.enum(['RelayApp', 'RelayToken', 'ClientCertificate']),
  namespace: z.string(),
  name: z.string(),
  appId: z.string(),
  /** As the status names it: the id of an app's key pair, of a token, the fingerprint of a certificate. Of the one that goes, never of a successor. */
  credentialId: z.string(),
  /** Where the credential is handed out; null: the operator hands out none (a certificate that was made elsewhere). */
  secretName: z.string().nullable(),
};

/**
 * What somebody is told of: a closed list. Stored as JSON beside what is sent for it (postgres/notifications.ts), so the schema is the type.
 * Nothing in it is secret.
 */
export const occasion = z.discriminatedUnion('what', [
  /** It will be replaced at `at`. */
  z.strictObject({ ...subject, what: z.literal('RotationUpcoming'), at: time, overlapMs: z.int().min(0) }).readonly(),
  /** It was replaced at `at` and works on until `worksUntil`, then only while somebody uses it, and until `goneBy` at the latest. */
  z
    .strictObject({
      ...subject,
      what: z.literal('Rotated'),
      cause: z.enum(['Interval', 'Annotation', 'Imported', 'SecretLost', 'Renewed']),
      at: time,
      worksUntil: time,
      goneBy: time,
    })
    .readonly(),
  /** It ends at `at`, and nothing takes its place by itself. */
  z.strictObject({ ...subject, what: z.literal('ExpiryUpcoming'), at: time }).readonly(),
  /** Its overlap ended at `at`, and somebody uses it still. It goes when nobody does, and at `goneBy` at the latest. */
  z.strictObject({ ...subject, what: z.literal('OldCredentialInUse'), at: time, goneBy: time, use }).readonly(),
  /** It went at `at`, and somebody had used it shortly before: whoever that is, is refused now. */
  z
    .strictObject({
      ...subject,
      what: z.literal('DiedInUse'),
      why: z.enum(['Deadline', 'MadeRoom', 'Expired', 'Revoked', 'Replaced', 'Deleted', 'AppDeleted']),
      at: time,
      use,
    })
    .readonly(),
]);

export type Occasion = z.infer<typeof occasion>;

/** Whose credential it is about. */
export type OccasionSubject = Pick<Occasion, keyof typeof subject>;
/** And what became of it. */
export type Happening = Occasion extends infer Each
  ? Each extends Occasion
    ? Omit<Each, keyof OccasionSubject>
    : never
  : never;

/**
 * What makes an occasion this one: whatever has the same key was announced already. Of what somebody can put off the time is part of it, so
 * that a rotation is announced again for its new time, and one that expired, was given a later end and expired again is told of twice. So it is
 * of a certificate: `revoked: false` and a new object bring back one that had died, and it may die again.
 */
export function occasionKey(told: Occasion): string {
  const { kind, namespace, name, what, credentialId, at } = told;
  const own = [kind, namespace, name, what, credentialId];
  const repeatable =
    kind === 'ClientCertificate' ||
    what === 'RotationUpcoming' ||
    what === 'ExpiryUpcoming' ||
    (what === 'DiedInUse' && told.why === 'Expired');
  return [...own, ...(repeatable ? [new Date(at).toISOString()] : [])].join('/');
}
