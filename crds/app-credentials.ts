import { z } from 'zod';
import { mailAddress } from './mail-address.ts';
import { objectName } from './resource.ts';
import { rotationFields, rotationTimes, withRotationRules, type RetirementTimes } from './rotation.ts';

// Of labels and annotations (k8s.io/apimachinery, util/validation): an optional DNS prefix and a name. Checked here, because the API server
// checks them only on the Secret itself, and refuses the whole of it.
const metadataKey = z
  .string()
  .regex(
    /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/,
    'must be a name such as team, or with a DNS prefix example.com/team',
  );
/** What zod says with `metadataKey`, for the API server. */
const metadataKeys = {
  maxProperties: 64,
  'x-kubernetes-validations': [
    {
      rule: "self.all(key, size(key) <= 317 && key.matches('^([a-z0-9.-]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",
      message: 'a key must be a name such as team, or with a DNS prefix example.com/team',
    },
  ],
};
const labelValue = z
  .string()
  .max(63)
  .regex(
    /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/,
    'must be letters, digits, - _ and . only, and begin and end with a letter or digit',
  );

const template = z.strictObject({
  labels: z.record(metadataKey, labelValue).meta(metadataKeys).optional().describe('Labels added to the Secret.'),
  annotations: z
    .record(metadataKey, z.string())
    .meta(metadataKeys)
    .optional()
    .describe("Annotations added to the Secret, such as Reloader's."),
});

const dataKey = z
  .string()
  .max(253)
  .regex(/^[-._a-zA-Z0-9]+$/, 'must be a key of the data of a Secret: letters, digits, -, _ and . only')
  .optional();

const importFrom = z.strictObject({
  name: objectName.describe('The Secret, in this namespace, with the label relay-operator.dev/referable: "true".'),
  keys: z
    .strictObject({
      id: dataKey.describe('Which key of the Secret has the app id. Default PUSHER_APP_ID, else id.'),
      key: dataKey.describe('Which has the public key. Default PUSHER_APP_KEY, else key.'),
      secret: dataKey.describe('Which has the secret. Default PUSHER_APP_SECRET, else secret.'),
    })
    .optional(),
});

/** `spec.credentials` of a RelayApp. */
export const credentialsSpec = z.strictObject({
  secretName: objectName.optional().describe('The Secret that the operator writes. Default {name}-relay.'),
  endpoint: z.enum(['Public', 'Internal']).optional().describe('Which host the Secret names. Default Public.'),
  template: template.optional().describe('Metadata of the Secret.'),
  importFrom: importFrom
    .optional()
    .describe(
      'Uses an existing id, key and secret, and follows their Secret: a change of it is a rotation with overlap. Excludes rotation.',
    ),
});

const ADDRESSES = 'name at least one address, each once, or leave notify out: then nobody is told';

const notify = z
  .array(mailAddress)
  .max(16)
  .refine((list) => list.length > 0 && new Set(list).size === list.length, ADDRESSES)
  .meta({
    'x-kubernetes-list-type': 'set',
    'x-kubernetes-validations': [{ rule: 'size(self) > 0', message: ADDRESSES }],
  });

/** `spec.rotation` of a RelayApp. */
export const keyRotation = withRotationRules(
  z.strictObject({
    ...rotationFields,
    rotates: z
      .enum(['KeyAndSecret', 'Secret'])
      .optional()
      .describe(
        'KeyAndSecret (default): both are new. Secret: the public key stays, so that deployed browsers keep working.',
      ),
    notify: notify
      .optional()
      .describe(
        'Mail addresses that are told of what happens to the keys of this app, to its tokens and client certificates: before a rotation, when it happened, before an expiry, and when one that was in use is gone.',
      ),
  }),
);

/** Which data keys of the imported Secret to look for, in order. */
export type ImportFrom = {
  readonly name: string;
  readonly keys: {
    readonly id: readonly string[];
    readonly key: readonly string[];
    readonly secret: readonly string[];
  };
};

export type DefaultedCredentials = {
  readonly secretName: string;
  readonly endpoint: 'Public' | 'Internal';
  readonly template: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly importFrom: ImportFrom | null;
  readonly rotation: {
    /** ms; null: never by itself. */
    readonly interval: number | null;
    /** How a replaced key ends, whatever replaced it. */
    readonly retirement: RetirementTimes;
    /** These times are declared, so they hold for keys that retire already as well. */
    readonly declared: boolean;
    readonly rotates: 'KeyAndSecret' | 'Secret';
    /** Sorted. */
    readonly notify: readonly string[];
  };
};

type CredentialsDeclared = {
  readonly credentials?: z.infer<typeof credentialsSpec> | undefined;
  readonly rotation?: z.infer<typeof keyRotation> | undefined;
};

export function defaultedCredentials(
  name: string,
  { credentials, rotation }: CredentialsDeclared,
): DefaultedCredentials {
  const { interval, ...retirement } = rotationTimes(rotation ?? {});
  const { keys, name: imported } = credentials?.importFrom ?? {};
  return {
    secretName: credentials?.secretName ?? `${name}-relay`,
    endpoint: credentials?.endpoint ?? 'Public',
    template: { labels: credentials?.template?.labels ?? {}, annotations: credentials?.template?.annotations ?? {} },
    importFrom:
      imported === undefined
        ? null
        : {
            name: imported,
            keys: {
              id: keys?.id === undefined ? ['PUSHER_APP_ID', 'id'] : [keys.id],
              key: keys?.key === undefined ? ['PUSHER_APP_KEY', 'key'] : [keys.key],
              secret: keys?.secret === undefined ? ['PUSHER_APP_SECRET', 'secret'] : [keys.secret],
            },
          },
    rotation: {
      interval: rotation === undefined ? null : interval,
      retirement,
      declared: rotation !== undefined,
      rotates: rotation?.rotates ?? 'KeyAndSecret',
      notify: rotation?.notify?.toSorted() ?? [],
    },
  };
}
