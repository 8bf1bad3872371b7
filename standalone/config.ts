import { existsSync, statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { z } from 'zod';

const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

const settings = z.object({
  dir: z
    .string()
    .default('examples/standalone')
    .refine((path) => existsSync(path) && statSync(path).isDirectory(), 'there is no such folder'),
  port: z.coerce.number('expected a number from 0 to 65535').int().min(0).max(65_535).default(6001),
  data: z.string().min(1).default('.relay'),
  host: z.string().min(1).default('127.0.0.1'),
  'log-format': z.enum(['text', 'json'], 'expected text or json').default('text'),
  'log-level': z.enum(LEVELS, `expected one of ${LEVELS.join(', ')}`).optional(),
});

export type StandaloneConfig = {
  /** The folder of manifests, as given. */
  readonly folder: string;
  /** 0: any free one. */
  readonly port: number;
  readonly host: string;
  /** Where state is kept, as given. */
  readonly data: string;
  readonly logFormat: 'text' | 'json';
  readonly logLevel: (typeof LEVELS)[number];
};

export type ConfigResult =
  | { readonly kind: 'config'; readonly config: StandaloneConfig }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'invalid'; readonly text: string };

const HELP = `Operator and relay in one process, over a folder of YAML. No cluster, no Redis, no installed PostgreSQL.

Usage: npm start -- [DIR] [options]
       node standalone/main.ts [DIR] [options]

  DIR                   The folder of manifests (RelayApp, RelayToken, ClientCertificate), with its subfolders.
                        Edits take effect at once.
                        Default: examples/standalone
  --port PORT           Port for clients: WebSocket, HTTP API and the page. 0: any free one. Default: 6001
  --host ADDRESS        Address to listen on. Default: 127.0.0.1, so that only this machine reaches it
  --data DIR            Where everything is kept that outlives a run. Default: .relay
  --log-format FORMAT   text (short lines for people) or json (one object per line). Default: text
  --log-level LEVEL     ${LEVELS.join(', ')}.
                        Default: LOG_LEVEL, else warn with text and info with json
  --help                This text

What is in the data directory:
  secrets/NAMESPACE/NAME.env           credentials, readable by you alone: set -a; . FILE; set +a
  status/KIND/NAMESPACE/NAME.yaml      each object with its status, as kubectl get -o yaml would show it
  keys.env                             the keys that encrypt what PostgreSQL holds: keep them with a backup
  postgres/                            the database

Ctrl-C stops it cleanly. A second start keeps every credential. To begin anew, stop it and remove the data directory.
`;

/** @param args without node and script · @param environment process.env */
export function readConfig(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): ConfigResult {
  const text = { type: 'string' } as const;
  const options = {
    port: text,
    host: text,
    data: text,
    'log-format': text,
    'log-level': text,
    help: { type: 'boolean', short: 'h' },
  } as const;
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    if (values.help === true) return { kind: 'help', text: HELP };
    if (positionals.length > 1) return invalid(`expected one folder, found ${positionals.join(' ')}`);
    const level = environment['LOG_LEVEL'];
    const parsed = settings.safeParse({
      ...(level === undefined || level === '' ? {} : { 'log-level': level }),
      ...values,
      ...(positionals[0] === undefined ? {} : { dir: positionals[0] }),
    });
    if (!parsed.success) return invalid(parsed.error.issues.map(described(positionals[0])).join('\n'));
    const { dir, port, data, host, 'log-format': logFormat, 'log-level': logLevel } = parsed.data;
    const defaultLevel = logFormat === 'text' ? 'warn' : 'info';
    return {
      kind: 'config',
      config: { folder: dir, port, host, data, logFormat, logLevel: logLevel ?? defaultLevel },
    };
  } catch (error) {
    return invalid(error instanceof Error ? error.message : 'wrong arguments');
  }
}

const described =
  (dir = 'examples/standalone') =>
  ({ path, message }: z.core.$ZodIssue): string =>
    path[0] === 'dir' ? `${dir}: ${message}` : `--${path.join('.')}: ${message}`;

function invalid(message: string): ConfigResult {
  return { kind: 'invalid', text: `${message}\n(npm start -- --help lists what there is)\n` };
}

/** The configuration of this process. Prints help or what is wrong and ends the process when there is none. */
export function processConfig(): StandaloneConfig {
  const result = readConfig(process.argv.slice(2), process.env);
  if (result.kind === 'config') return result.config;
  const stream = result.kind === 'help' ? process.stdout : process.stderr;
  stream.write(result.text);
  process.exit(result.kind === 'help' ? 0 : 2);
}
