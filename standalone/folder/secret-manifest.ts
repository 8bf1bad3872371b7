import { z } from 'zod';
import { objectName } from '#crds/resource.ts';
import type { FieldError } from '#crds/validate.ts';

/** A Secret that a file of the folder declares, for objects to refer to. Held in memory: it is written nowhere else. */
export type SecretManifest = {
  readonly namespace: string | undefined;
  readonly name: string;
  readonly type: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly data: Readonly<Record<string, string>>;
};

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const values = z.record(z.string().regex(/^[-._a-zA-Z0-9]{1,253}$/), z.string());
const manifest = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Secret'),
  metadata: z.looseObject({
    name: objectName,
    namespace: objectName.optional(),
    labels: z.record(z.string(), z.string()).optional(),
  }),
  type: z.string().default('Opaque'),
  immutable: z.boolean().optional(),
  stringData: values.default({}),
  data: z.record(z.string().regex(/^[-._a-zA-Z0-9]{1,253}$/), z.string().regex(BASE64)).default({}),
});

export function isSecretManifest(document: unknown): boolean {
  return (
    typeof document === 'object' &&
    document !== null &&
    'kind' in document &&
    document.kind === 'Secret' &&
    'apiVersion' in document &&
    document.apiVersion === 'v1'
  );
}

/** Checks a parsed document of kind Secret (core/v1). What it says of a mistake never repeats a value. */
export function readSecretManifest(
  document: unknown,
): { readonly ok: true; readonly secret: SecretManifest } | { readonly ok: false; readonly errors: FieldError[] } {
  const parsed = manifest.safeParse(document);
  if (!parsed.success) return { ok: false, errors: parsed.error.issues.flatMap(fieldErrors) };
  const { metadata, type, stringData, data } = parsed.data;
  const decoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]);
  return {
    ok: true,
    secret: {
      namespace: metadata.namespace,
      name: metadata.name,
      type,
      labels: metadata.labels ?? {},
      // As the API server does: stringData wins.
      data: { ...Object.fromEntries(decoded), ...stringData },
    },
  };
}

function fieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: [...path, key], message: 'unknown field of a Secret' }));
  if (issue.code === 'invalid_key')
    return [{ path, message: 'the key must be letters, digits, -, _ and . only, up to 253' }];
  if (path[0] === 'data') return [{ path, message: 'must be base64; use stringData for plain text' }];
  if (issue.code === 'invalid_type')
    return [
      {
        path,
        message: `must be a ${issue.expected === 'record' ? 'map' : issue.expected}, in quotes if it looks like something else`,
      },
    ];
  return [{ path, message: issue.message }];
}
