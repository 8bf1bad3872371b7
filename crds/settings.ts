import { parseArgs } from 'node:util';
import { z } from 'zod';
import { Keyring, Secret } from './keyring.ts';
import { parseRedisUrl } from './redis-url.ts';

/**
 * How a process of this product is configured: each setting is an environment variable, and a flag of the same name in lower case with
 * hyphens, which wins. One zod object says names, defaults and descriptions; `--help` prints it. Operator and relay share settings, so
 * that the same name means the same thing in both.
 */
export type SettingsResult<T> =
  | { readonly kind: 'settings'; readonly settings: T }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'invalid'; readonly text: string };

export type SettingsInput = {
  /** The first line of the help. */
  readonly summary: string;
  /** Without node and script. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
};

/** Never repeats a value that is wrong: it may be a secret. */
export function readSettings<S extends z.ZodObject>(
  schema: S,
  { summary, args, environment }: SettingsInput,
): SettingsResult<z.output<S>> {
  const names = Object.keys(schema.shape);
  let flags: Readonly<Record<string, string | boolean | undefined>>;
  try {
    const options = Object.fromEntries(names.map((name) => [flagOf(name), { type: 'string' as const }]));
    flags = parseArgs({ args: [...args], options: { ...options, help: { type: 'boolean' as const } } }).values;
  } catch (error) {
    return {
      kind: 'invalid',
      text: `${wrongFlags(error)}\n(--help lists all settings)\n`,
    };
  }
  if (flags['help'] === true) return { kind: 'help', text: help(schema, summary) };
  const given = names.map((name) => [
    name,
    flags[flagOf(name)] ?? (environment[name] === '' ? undefined : environment[name]),
  ]);
  const parsed = schema.safeParse(Object.fromEntries(given));
  if (parsed.success) return { kind: 'settings', settings: parsed.data };
  const lines = parsed.error.issues.map(({ path, message, code }) => {
    const name = String(path[0] ?? '');
    const missing = code === 'invalid_type' && given.some(([key, value]) => key === name && value === undefined);
    const wrong = message.endsWith('received NaN') ? 'expected a number' : message;
    return `${name}: ${missing ? `is required: ${describe(schema, name)}` : wrong}`;
  });
  return { kind: 'invalid', text: `${lines.join('\n')}\n(--help lists all settings)\n` };
}

/** Turns the message of a parser that throws into zod's own kind of error. */
export function parsedBy<T>(parse: (text: string) => T) {
  return z.string().transform((text, context) => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'not valid' });
      return z.NEVER;
    }
  });
}

export const port = z.coerce.number().int().min(0).max(65_535);
export const seconds = z.coerce.number().min(0).max(86_400);

/** The settings that operator and relay have in common. */
export const commonSettings = {
  HOST: z.string().default('0.0.0.0').describe('Address that the ports listen on.'),
  REDIS_URL: parsedBy((text) => {
    parseRedisUrl(text);
    return new Secret(text);
  }).describe('redis[s]://…, redis[s]+cluster://a,b or redis[s]+sentinel://a,b/master. Redis 7 or newer.'),
  REDIS_PREFIX: z
    .string()
    .regex(/^[A-Za-z0-9:._-]{0,64}$/, 'letters, digits and : . _ - only')
    .default('')
    .describe(
      'Put before every name in Redis, for one that serves several installations. Operator and relay need the same.',
    ),
  DIRECTORY_KEYS: parsedBy((text) => Keyring.parse(text)).describe(
    'id:base64,… of 32 bytes each; the first signs, all verify. Operator and relay need the same. Make one: openssl rand -base64 32',
  ),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('Least level that is logged.'),
};

function wrongFlags(error: unknown): string {
  if (!(error instanceof Error)) return 'wrong flags';
  // Its message repeats the argument, which may be a URL with a password whose flag was forgotten.
  const positional = 'code' in error && error.code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL';
  return positional ? 'an argument that belongs to no flag: write --name=value' : error.message;
}

function flagOf(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

function help(schema: z.ZodObject, summary: string): string {
  const lines = Object.keys(schema.shape).map(
    (name) => `  --${flagOf(name)}, ${name}\n      ${describe(schema, name)}${withoutIt(schema, name)}`,
  );
  return `${summary}\n\nEach setting is a flag or an environment variable:\n\n${lines.join('\n')}\n`;
}

/** What holds when a setting is not given, where its description does not say it. */
function withoutIt(schema: z.ZodObject, name: string): string {
  const field: unknown = schema.shape[name];
  if (!(field instanceof z.ZodType) || /Default: /.test(describe(schema, name))) return '';
  const { success, data } = field.safeParse(undefined);
  const end = describe(schema, name).endsWith('.') ? '' : '.';
  if (!success) return `${end} Required.`;
  const said = typeof data === 'number' || (typeof data === 'string' && data !== '');
  if (!said && data !== undefined && data !== '' && !isEmpty(data))
    throw new Error(`the description of ${name} must say its default`);
  return `${end} Default: ${said ? data : 'none'}.`;
}

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (Array.isArray(value) || value instanceof Set) &&
  [...value].length === 0;

function describe(schema: z.ZodObject, name: string): string {
  const field: unknown = schema.shape[name];
  return field instanceof z.ZodType ? (field.description ?? '') : '';
}
