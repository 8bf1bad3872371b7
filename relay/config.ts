import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { Keyring, Secret } from '#crds/keyring.ts';
import { parseRedisUrl } from '#crds/redis-url.ts';

const port = z.coerce.number().int().min(0).max(65_535);
const seconds = z.coerce.number().min(0).max(86_400);

/** Turns the message of a parser that throws into zod's own kind of error. */
function parsedBy<T>(parse: (text: string) => T) {
  return z.string('is required').transform((text, context) => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'not valid' });
      return z.NEVER;
    }
  });
}

/** Every setting: an environment variable, and the flag of the same name in lower case with hyphens, which wins. */
const settings = z.object({
  PORT: port.default(6001).describe('Port for clients: WebSocket and HTTP API. 0: any free one.'),
  METRICS_PORT: port.default(9601).describe('Port for /metrics, /livez and /readyz. Keep it inside the cluster.'),
  HOST: z.string().default('0.0.0.0').describe('Address that both ports listen on.'),
  REDIS_URL: parsedBy((text) => {
    parseRedisUrl(text);
    return new Secret(text);
  }).describe('redis[s]://…, redis[s]+cluster://a,b or redis[s]+sentinel://a,b/master. Redis 7 or newer.'),
  REDIS_PREFIX: z
    .string()
    .default('')
    .describe('Prefix of every key and channel, as the operator has it: keeps installations that share a Redis apart.'),
  DIRECTORY_KEYS: parsedBy((text) => Keyring.parse(text)).describe(
    "id:base64,… as the operator has them: they prove the directory's entries and open the app secrets.",
  ),
  RELAY_ID: z
    .string()
    .regex(/^[A-Za-z0-9._:-]{1,200}$/, 'letters, digits and . _ : - only')
    .default(() => hostname())
    .describe('Name of this process among the replicas. Default: the host name.'),
  POD_UID: z
    .string()
    .default('')
    .describe('UID of the pod, from the downward API: a newer boot of the same pod replaces the older one.'),
  RELAY_ADMIT_TIMEOUT: seconds
    .default(60)
    .describe(
      'Seconds to wait for the operator to admit this replica before serving unadmitted, with an alarm metric.',
    ),
  RELAY_FENCE_AFTER: seconds
    .default(0)
    .describe('Seconds without contact after which sockets are closed (4100) and requests get 503. 0: never.'),
  RELAY_DRAIN_SECONDS: seconds.default(20).describe('Seconds over which open sockets are sent away on SIGTERM.'),
  RELAY_MAX_UNSENT_BYTES: z.coerce
    .number()
    .int()
    .min(65_536)
    .default(1_048_576)
    .describe('Bytes that may wait for one slow client before it is dropped (4100).'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('Least level that is logged.'),
});

export type RelayConfig = z.output<typeof settings>;

export type ConfigResult =
  | { readonly kind: 'config'; readonly config: RelayConfig }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'invalid'; readonly text: string };

const flagOf = (name: string): string => name.toLowerCase().replaceAll('_', '-');

/** @param args without node and script · @param environment process.env */
export function readConfig(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): ConfigResult {
  const names = Object.keys(settings.shape);
  let flags: Readonly<Record<string, string | boolean | undefined>>;
  try {
    const options = Object.fromEntries(names.map((name) => [flagOf(name), { type: 'string' as const }]));
    flags = parseArgs({ args: [...args], options: { ...options, help: { type: 'boolean' as const } } }).values;
  } catch (error) {
    return { kind: 'invalid', text: `${error instanceof Error ? error.message : 'wrong flags'}\n` };
  }
  if (flags['help'] === true) return { kind: 'help', text: help() };
  const given = names.map((name) => [
    name,
    flags[flagOf(name)] ?? (environment[name] === '' ? undefined : environment[name]),
  ]);
  const parsed = settings.safeParse(Object.fromEntries(given));
  if (parsed.success) return { kind: 'config', config: parsed.data };
  // Never the value: it may be a secret.
  const lines = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  return { kind: 'invalid', text: `${lines.join('\n')}\n(--help lists all settings)\n` };
}

function help(): string {
  const lines = Object.entries(settings.shape).map(
    ([name, schema]) => `  --${flagOf(name)}, ${name}\n      ${schema.description ?? ''}`,
  );
  return `The relay: Pusher protocol and HTTP API for the apps of the directory.\n\nEach setting is a flag or an environment variable:\n\n${lines.join('\n')}\n`;
}

/** The configuration of this process. Prints help or what is wrong and ends the process when there is none. */
export function processConfig(): RelayConfig {
  const result = readConfig(process.argv.slice(2), process.env);
  if (result.kind === 'config') return result.config;
  const stream = result.kind === 'help' ? process.stdout : process.stderr;
  stream.write(result.text);
  process.exit(result.kind === 'help' ? 0 : 2);
}
