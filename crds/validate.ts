import { z } from 'zod';
import { API_VERSION, GROUP } from './api-group.ts';
import { KINDS, type KindDefinition } from './kinds.ts';
import { objectName } from './resource.ts';

/** One thing that is wrong with a manifest: where (`spec.limits.connections`), what was found, and what was expected. */
export type FieldError = { readonly path: readonly (string | number)[]; readonly message: string };

export type Manifest = {
  readonly kind: KindDefinition['kind'];
  readonly metadata: {
    readonly name: string;
    readonly namespace: string | undefined;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: unknown;
};

export type Validation =
  | { readonly ok: true; readonly manifest: Manifest }
  | { readonly ok: false; readonly errors: readonly FieldError[] };

const stringMap = z.record(z.string(), z.string());
// Loose: a manifest exported with `kubectl get -o yaml` carries uid, managedFields and more, and must apply again.
const metadata = z.looseObject({
  name: objectName,
  namespace: objectName.optional(),
  labels: stringMap.optional(),
  annotations: stringMap.optional(),
});

/** Checks a parsed YAML document as the API server would, for worlds that have none. Never throws. */
export function validateManifest(document: unknown): Validation {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    return fail([], `expected a manifest with apiVersion, kind, metadata and spec, found ${describe(document)}`);
  }
  const { apiVersion, kind, ...rest } = document as Record<string, unknown>;
  if (apiVersion !== API_VERSION) return fail(['apiVersion'], `expected ${API_VERSION}, found ${describe(apiVersion)}`);
  const definition = KINDS.find((known) => known.kind === kind);
  if (definition === undefined) {
    return fail(['kind'], `expected one of ${KINDS.map((known) => known.kind).join(', ')}, found ${describe(kind)}`);
  }
  const schema = z.strictObject({ metadata, spec: definition.spec, status: z.unknown().optional() });
  const parsed = schema.safeParse(rest, { reportInput: true });
  if (!parsed.success)
    return { ok: false, errors: parsed.error.issues.flatMap((issue) => fieldErrors(issue, definition)) };
  const { name, namespace, labels = {}, annotations = {} } = parsed.data.metadata;
  return {
    ok: true,
    manifest: { kind: definition.kind, metadata: { name, namespace, labels, annotations }, spec: parsed.data.spec },
  };
}

/** The rules that compare with the stored object, as CEL does on an update. Both specs have passed {@link validateManifest}. */
export function validateUpdate(kind: string, spec: unknown, oldSpec: unknown): readonly FieldError[] {
  const definition = KINDS.find((known) => known.kind === kind);
  if (definition === undefined) throw new Error(`no kind ${kind} in ${GROUP}`);
  return definition.transitions
    .filter((rule) => !rule.check(spec, oldSpec))
    .map((rule) => ({ path: rule.field.split('.'), message: rule.message }));
}

/** `spec.keys[0].name` */
export function formatPath(path: readonly (string | number)[]): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`)).join('');
}

function fieldErrors(issue: z.core.$ZodIssue, definition: KindDefinition): FieldError[] {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: unknownField(key, knownFields(definition, path)),
      }));
    case 'invalid_type':
      return [
        {
          path,
          message:
            issue.input === undefined
              ? `is required: expected ${article(issue.expected)}`
              : `expected ${article(issue.expected)}, found ${describe(issue.input)}`,
        },
      ];
    case 'invalid_value':
      return [
        {
          path,
          message: `expected one of ${issue.values.map((value) => String(value)).join(', ')}, found ${describe(issue.input)}`,
        },
      ];
    case 'too_small':
    case 'too_big': {
      const bound = issue.code === 'too_small' ? `at least ${issue.minimum}` : `at most ${issue.maximum}`;
      const unit = issue.origin === 'string' ? ' characters' : issue.origin === 'array' ? ' items' : '';
      return [{ path, message: `expected ${bound}${unit}, found ${describe(issue.input)}` }];
    }
    case 'invalid_key':
      return [{ path, message: `the key ${issue.issues[0]?.message ?? 'is not valid'}` }];
    case 'invalid_format':
    case 'not_multiple_of':
    case 'invalid_union':
    case 'invalid_element':
    case 'custom':
      return [{ path, message: `${issue.message}, found ${describe(issue.input)}` }];
  }
}

function knownFields(definition: KindDefinition, path: readonly (string | number)[]): readonly string[] {
  let node: unknown = z.object({ metadata, spec: definition.spec, status: z.unknown() });
  for (const part of path) {
    node = node instanceof z.ZodOptional ? node.unwrap() : node;
    if (node instanceof z.ZodArray) node = node.element;
    else node = node instanceof z.ZodObject ? node.shape[String(part)] : undefined;
  }
  node = node instanceof z.ZodOptional ? node.unwrap() : node;
  return node instanceof z.ZodObject ? Object.keys(node.shape) : [];
}

function unknownField(key: string, known: readonly string[]): string {
  const nearest = known.find((name) => distance(name.toLowerCase(), key.toLowerCase()) <= 2);
  return `unknown field${nearest === undefined ? '.' : `, did you mean ${nearest}?`} Known fields here: ${known.join(', ') || 'none'}`;
}

/** Levenshtein distance; names are short. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, substitution));
    }
    previous = row;
  }
  return previous[b.length] ?? 0;
}

function article(type: string): string {
  const name = type === 'record' ? 'object' : type === 'int' ? 'integer' : type;
  return `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'an object';
  const text = JSON.stringify(value);
  return `${typeof value === 'string' ? '' : `the ${typeof value} `}${text.length > 60 ? `${text.slice(0, 57)}…` : text}`;
}

function fail(path: readonly (string | number)[], message: string): Validation {
  return { ok: false, errors: [{ path, message }] };
}
