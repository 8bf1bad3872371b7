import { z } from 'zod';
import { duration, DURATION_FORM, durationMs } from './duration.ts';
import { conditions, objectName, type Resource } from './resource.ts';
import type { TransitionRule } from './transition-rule.ts';

/** cert-manager's own default and least values (cert-manager.io/v1, const.go). */
const DEFAULT_DURATION = '2160h';
const LEAST_DURATION = '1h';
const LEAST_RENEW_BEFORE = '5m';

/** A rule in both of its languages: zod for the folder, CEL for the API server. They share the message, which says what to write. */
function rule<T extends z.ZodType>(schema: T, check: (value: z.output<T>) => boolean, cel: string, message: string) {
  const former = schema.meta()?.['x-kubernetes-validations'];
  const validations = [...(Array.isArray(former) ? former : []), { rule: cel, message }];
  return schema.refine(check, message).meta({ 'x-kubernetes-validations': validations });
}

const atLeast = (least: string) =>
  rule(
    duration,
    // What is no duration has its message already.
    (text) => !duration.safeParse(text).success || durationMs(text) >= durationMs(least),
    `!self.matches('${DURATION_FORM}') || duration(self) >= duration('${least}')`,
    `must be at least ${least}: cert-manager takes no less`,
  );

const SIZES = {
  RSA: [2_048, 3_072, 4_096],
  ECDSA: [256, 384, 521],
  Ed25519: [],
} as const satisfies Record<string, readonly number[]>;
type Algorithm = keyof typeof SIZES;

const privateKey = rule(
  z.strictObject({
    algorithm: z.enum(['RSA', 'ECDSA', 'Ed25519']).optional().describe('Default ECDSA.'),
    size: z
      .int()
      .optional()
      .describe('RSA: 2048 (default), 3072, 4096. ECDSA: 256 (default), 384, 521. Ed25519: none.'),
  }),
  ({ algorithm = 'ECDSA', size }) => size === undefined || (SIZES[algorithm] as readonly number[]).includes(size),
  `!has(self.size) || (has(self.algorithm) && self.algorithm == 'RSA' ? self.size in [2048, 3072, 4096] : !has(self.algorithm) || self.algorithm == 'ECDSA' ? self.size in [256, 384, 521] : false)`,
  'size must be 2048, 3072 or 4096 with algorithm RSA, 256, 384 or 521 with ECDSA (the default), and absent with Ed25519',
);

const issue = rule(
  z.strictObject({
    issuerRef: z
      .strictObject({
        name: objectName,
        kind: z
          .string()
          .max(63)
          .regex(/^[A-Za-z][A-Za-z0-9]*$/, 'must be a kind, such as Issuer or ClusterIssuer')
          .optional()
          .describe('Issuer (default), ClusterIssuer, or the kind of an external issuer.'),
        group: objectName.optional().describe('Default cert-manager.io; of an external issuer its own.'),
      })
      .describe('Who signs. Only issuers that the installation allows (ALLOWED_ISSUERS).'),
    commonName: z
      .string()
      .min(1)
      .max(64)
      .optional()
      .describe('Subject of the certificate. Default: the name of this object.'),
    duration: atLeast(LEAST_DURATION)
      .optional()
      .describe(`How long a certificate is valid. Default ${DEFAULT_DURATION}.`),
    renewBefore: atLeast(LEAST_RENEW_BEFORE)
      .optional()
      .describe('How long before its end the next one is issued. Default: a third of duration.'),
    secretName: objectName.optional().describe('The Secret that cert-manager writes. Default {name}-mtls.'),
    privateKey: privateKey.optional(),
  }),
  ({ duration: life = DEFAULT_DURATION, renewBefore }) =>
    // What is no duration has its message already.
    [life, renewBefore].some((text) => !duration.safeParse(text).success) ||
    durationMs(renewBefore ?? '') < durationMs(life),
  `!has(self.renewBefore) || !self.renewBefore.matches('${DURATION_FORM}') || (has(self.duration) && !self.duration.matches('${DURATION_FORM}')) || duration(self.renewBefore) < duration(has(self.duration) ? self.duration : '${DEFAULT_DURATION}')`,
  `renewBefore must be shorter than duration (${DEFAULT_DURATION} when that is left out)`,
);

const KEY_INSIDE =
  'pem holds a private key: leave only the block from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----, and take a new key, for this one was shown';

const certificate = rule(
  rule(
    z.strictObject({
      pem: z.string().max(16_384).optional().describe('The certificate as PEM: one, without its chain and its key.'),
      secretRef: z
        .strictObject({
          name: objectName.describe('A Secret of this namespace with the label relay-operator.dev/referable: "true".'),
          key: z
            .string()
            .max(253)
            .regex(/^[-._a-zA-Z0-9]+$/, 'must be a key of a Secret, such as tls.crt')
            .optional()
            .describe('Default tls.crt.'),
        })
        .optional(),
    }),
    ({ pem, secretRef }) => (pem === undefined) !== (secretRef === undefined),
    'has(self.pem) != has(self.secretRef)',
    'set exactly one of pem and secretRef',
  ),
  ({ pem }) => pem === undefined || !pem.includes('PRIVATE KEY'),
  "!has(self.pem) || !self.pem.contains('PRIVATE KEY')",
  KEY_INSIDE,
);

const SHA256 = '^([0-9A-Fa-f]{64}|([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2})$';
const fingerprint = z.strictObject({
  sha256: rule(
    // Longer than any fingerprint, so that a whole line of openssl is told what to write and not how long it is.
    z.string().max(128),
    (text) => new RegExp(SHA256).test(text),
    `self.matches('${SHA256}')`,
    'must be a SHA-256 fingerprint, 64 hex digits with or without colons: what openssl x509 -noout -fingerprint -sha256 prints after the =; 40 digits are a SHA-1',
  ).describe('Of the certificate in DER: 64 hex digits in any case, with or without colons.'),
  notAfter: z.iso
    .datetime({ offset: true, error: 'must be a time with a zone, such as "2027-01-01T00:00:00Z"' })
    .max(64)
    .optional()
    .describe(
      'A time with a zone, such as 2027-01-01T00:00:00Z: from then on it is refused. Default: never, for nothing but the certificate itself says when it ends.',
    ),
});

const ONE_OF = 'set exactly one of issue, certificate and fingerprint';

/** What a user declares; defaults are in code (`defaultedCertificate`). */
export const clientCertificateSpec = rule(
  z.strictObject({
    appRef: z
      .strictObject({ name: objectName.describe('A RelayApp of this namespace.') })
      .describe('Immutable. The app that the certificate opens.'),
    issue: issue.optional().describe('cert-manager issues and renews a certificate.'),
    certificate: certificate.optional().describe('A certificate that exists: its public part.'),
    fingerprint: fingerprint.optional().describe('A certificate that exists: its SHA-256 alone.'),
    revoked: z
      .boolean()
      .optional()
      .describe(
        'true: every fingerprint of it is refused, also those in overlap. false again: registered again; with issue a new certificate.',
      ),
  }),
  (spec) => [spec.issue, spec.certificate, spec.fingerprint].filter((one) => one !== undefined).length === 1,
  '(has(self.issue) ? 1 : 0) + (has(self.certificate) ? 1 : 0) + (has(self.fingerprint) ? 1 : 0) == 1',
  ONE_OF,
);

export type ClientCertificateSpec = z.infer<typeof clientCertificateSpec>;

export const clientCertificateTransitions: readonly TransitionRule<ClientCertificateSpec>[] = [
  {
    cel: 'self.appRef.name == oldSelf.appRef.name',
    message:
      'appRef is immutable: a certificate is registered for one app; apply a second ClientCertificate for the other app',
    field: 'spec.appRef.name',
    check: (self, oldSelf) => self.appRef.name === oldSelf.appRef.name,
  },
];

const registered = z.strictObject({
  sha256: z.string().max(64),
  state: z
    .enum(['Active', 'Retiring', 'Revoked'])
    .describe('Retiring: replaced, and accepted until its end. Revoked: refused.'),
  notAfter: z.string().meta({ format: 'date-time' }).optional(),
});

export const clientCertificateStatus = z.strictObject({
  observedGeneration: z.int().min(0).optional(),
  appId: z.string().max(64).optional(),
  fingerprints: z
    .array(registered)
    .max(64)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['sha256'] })
    .optional()
    .describe('The newest first.'),
  secretName: z.string().max(253).optional().describe('With issue: the Secret that cert-manager writes.'),
  expiresAt: z.string().meta({ format: 'date-time' }).optional().describe('When the current certificate ends.'),
  revision: z
    .int()
    .min(0)
    .optional()
    .describe('The directory revision at which a fingerprint of it last changed; Enforced speaks of it.'),
  conditions: conditions.optional(),
});

export type ClientCertificateStatus = z.infer<typeof clientCertificateStatus>;
export type ClientCertificate = Resource<'ClientCertificate', ClientCertificateSpec, ClientCertificateStatus>;

export type IssuerRef = { readonly name: string; readonly kind: string; readonly group: string };

/** What cert-manager is asked for. */
export type DefaultedIssue = {
  readonly kind: 'issue';
  readonly issuerRef: IssuerRef;
  readonly commonName: string;
  readonly durationMs: number;
  readonly renewBeforeMs: number;
  readonly secretName: string;
  /** size 0: the algorithm has one only. */
  readonly privateKey: { readonly algorithm: Algorithm; readonly size: number };
};

export type CertificateSource =
  | DefaultedIssue
  | { readonly kind: 'pem'; readonly pem: string }
  | { readonly kind: 'secretRef'; readonly name: string; readonly key: string }
  /** `sha256` in lower case without colons; `notAfter` epoch ms, null: no end. */
  | { readonly kind: 'fingerprint'; readonly sha256: string; readonly notAfter: number | null };

export type DefaultedCertificate = {
  readonly appName: string;
  readonly source: CertificateSource;
  readonly revoked: boolean;
};

export function defaultedCertificate(name: string, spec: ClientCertificateSpec): DefaultedCertificate {
  return { appName: spec.appRef.name, source: sourceOf(name, spec), revoked: spec.revoked ?? false };
}

function sourceOf(
  name: string,
  { issue: asked, certificate: given, fingerprint: known }: ClientCertificateSpec,
): CertificateSource {
  if (asked !== undefined) {
    const { issuerRef, privateKey: key, commonName = name.slice(0, 64), secretName = `${name}-mtls` } = asked;
    const algorithm = key?.algorithm ?? 'ECDSA';
    const life = durationMs(asked.duration ?? DEFAULT_DURATION);
    return {
      kind: 'issue',
      issuerRef: {
        name: issuerRef.name,
        kind: issuerRef.kind ?? 'Issuer',
        group: issuerRef.group ?? 'cert-manager.io',
      },
      commonName,
      durationMs: life,
      renewBeforeMs: asked.renewBefore === undefined ? Math.floor(life / 3) : durationMs(asked.renewBefore),
      secretName,
      privateKey: { algorithm, size: key?.size ?? SIZES[algorithm][0] ?? 0 },
    };
  }
  if (given?.secretRef !== undefined)
    return { kind: 'secretRef', name: given.secretRef.name, key: given.secretRef.key ?? 'tls.crt' };
  if (given?.pem !== undefined) return { kind: 'pem', pem: given.pem };
  // The schema lets nothing else through.
  if (known === undefined) throw new Error(ONE_OF);
  return {
    kind: 'fingerprint',
    sha256: known.sha256.replaceAll(':', '').toLowerCase(),
    notAfter: known.notAfter === undefined ? null : Date.parse(known.notAfter),
  };
}
