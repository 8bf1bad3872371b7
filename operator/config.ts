import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';
import { Keyring, Secret } from '#crds/keyring.ts';
import {
  linkTls,
  nameSetting,
  pemFile,
  redisTlsContradiction,
  redisTlsSettings,
  type LinkTls,
} from '#crds/link-tls.ts';
import { mailAddress } from '#crds/mail-address.ts';
import { objectName } from '#crds/resource.ts';
import { commonSettings, parsedBy, port, readSettings, type SettingsResult } from '#crds/settings.ts';
import { parseAllowedIssuers } from './client-certificate/allowed-issuers.ts';
import { kubeConfigOf } from './kubernetes/kubeconfig.ts';
import { parseSmtpUrl } from './mail/smtp-server.ts';
import { parseWebhookUrl } from './slack/webhook-url.ts';

const httpUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL, such as https://relay.example.com' })
  // What is no URL at all has its message already.
  .refine((text) => !URL.canParse(text) || isOrigin(new URL(text)), {
    error: 'must not have a path, a query or a user: the relay serves from the root',
  })
  .transform((text) => new URL(text).origin);

const readText = (path: string): string => readFileSync(path, 'utf8');

const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

const namespaces = z
  .string()
  .default('')
  .transform((text) => [...new Set(text.split(',').map((name) => name.trim()))].filter((name) => name !== ''))
  .refine((names) => names.every((name) => NAMESPACE.test(name)), {
    error: 'must be names of namespaces with commas between, such as shop,billing',
  })
  .describe('Namespaces to serve, with commas between. Default: all.');

/** Every setting of the operator. */
const settings = z.object({
  DATABASE_URL: parsedBy(databaseUrl).describe(
    'PostgreSQL 14 or newer: postgres://user:password@host:5432/database. The operator creates its tables.',
  ),
  DATABASE_TLS_CA_FILE: pemFile(
    readText,
    'The authorities that may vouch for PostgreSQL, a PEM file. With any DATABASE_TLS setting plaintext is not spoken.',
  ),
  DATABASE_TLS_CERT_FILE: pemFile(readText, 'Our certificate for PostgreSQL, a PEM file. Needs DATABASE_TLS_KEY_FILE.'),
  DATABASE_TLS_KEY_FILE: pemFile(readText, 'The private key of DATABASE_TLS_CERT_FILE, a PEM file.'),
  DATABASE_TLS_SERVER_NAME: nameSetting(
    'The name that the certificate of PostgreSQL must have. Default: the host of DATABASE_URL.',
  ),
  REDIS_URL: commonSettings.REDIS_URL,
  ...redisTlsSettings(readText),
  REDIS_PREFIX: commonSettings.REDIS_PREFIX,
  RELAY_PUBLIC_URL: httpUrl.describe('Where clients reach the relay; Secrets name it, e.g. https://relay.example.com'),
  RELAY_INTERNAL_URL: httpUrl
    .optional()
    .describe('The same inside the cluster (credentials.endpoint: Internal). Default: RELAY_PUBLIC_URL.'),
  ENCRYPTION_KEYS: parsedBy((text) => Keyring.parse(text)).describe(
    'id:base64,… of 32 bytes each, for what is stored in PostgreSQL; the first encrypts, all decrypt. Only the operator has them.',
  ),
  DIRECTORY_KEYS: commonSettings.DIRECTORY_KEYS,
  INSTALLATION_ID: z
    .string()
    .regex(/^[a-z0-9-]{1,63}$/, 'lower-case letters, digits and - only')
    .default('default')
    .describe('Part of every identity in the registry. Never change it: a new one finds none of the old credentials.'),
  WATCH_NAMESPACES: namespaces,
  ALLOWED_ISSUERS: parsedBy((text) => parseAllowedIssuers(text))
    .prefault('Issuer/*')
    .describe(
      'Who may sign the certificates that ClientCertificates ask cert-manager for: Kind/name with commas between, * for every name, such as Issuer/*,ClusterIssuer/internal-ca; or none. Default: Issuer/*, the Issuers of the same namespace.',
    ),
  KUBECONFIG: parsedBy((path) => {
    kubeConfigOf(path);
    return path;
  })
    .optional()
    .describe('A kubeconfig file. Default: the service account of the pod.'),
  POD_NAMESPACE: z
    .string()
    .regex(NAMESPACE, 'must be the name of a namespace')
    .default(podNamespace)
    .describe('Where the Lease is, and the pods of the relay. Default: the namespace of the pod.'),
  POD_NAME: z
    .string()
    .default(() => hostname())
    .describe('Names this process in the Lease and in events. Default: the host name.'),
  LEASE_NAME: objectName.default('relay-operator').describe('The Lease by which operators elect their leader.'),
  CONCURRENCY: z.coerce
    .number()
    .int()
    .min(1)
    .max(256)
    .default(16)
    .describe('Objects of one kind reconciled at the same time.'),
  SMTP_URL: parsedBy(parseSmtpUrl)
    .optional()
    .describe(
      'Where mail is handed in: smtp://user:password@host:587 (STARTTLS, always) or smtps://user:password@host:465. Default: no mail is sent.',
    ),
  SMTP_FROM: mailAddress.optional().describe('The address that mail is from. Needed with SMTP_URL.'),
  SMTP_TLS_CA_FILE: pemFile(
    readText,
    "The authorities that may vouch for the mail server, a PEM file. Default: the system's.",
  ),
  NOTIFY_WEBHOOK_URL: parsedBy(parseWebhookUrl)
    .optional()
    .describe('A webhook as Slack has them ({"text": …}), told of all that mail is sent for. Default: none.'),
  HOST: commonSettings.HOST,
  METRICS_PORT: port.default(8080).describe('Port for /metrics.'),
  HEALTH_PORT: port.default(8081).describe('Port for /healthz and /readyz.'),
  LOG_LEVEL: commonSettings.LOG_LEVEL,
});

export type OperatorConfig = z.output<typeof settings>;

export function readConfig(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): SettingsResult<OperatorConfig> {
  const summary =
    'The operator: turns RelayApp, RelayToken and ClientCertificate manifests into registered, enforced credentials.';
  const result = readSettings(settings, { summary, args, environment });
  if (result.kind !== 'settings') return result;
  const contradiction = contradictionIn(result.settings) ?? outsideOfCluster(result.settings, environment);
  return contradiction === undefined ? result : { kind: 'invalid', text: `${contradiction}\n` };
}

/** undefined: as DATABASE_URL says. */
export function databaseTls(config: OperatorConfig): LinkTls | undefined {
  return linkTls({
    ca: config.DATABASE_TLS_CA_FILE,
    cert: config.DATABASE_TLS_CERT_FILE,
    key: config.DATABASE_TLS_KEY_FILE,
    servername: config.DATABASE_TLS_SERVER_NAME,
  });
}

function contradictionIn(config: OperatorConfig): string | undefined {
  const tls = databaseTls(config);
  if (tls !== undefined) {
    if ((tls.cert === undefined) !== (tls.key === undefined))
      return 'DATABASE_TLS_CERT_FILE and DATABASE_TLS_KEY_FILE: one is of no use without the other';
    // It would win over these settings, `sslmode=disable` too.
    if (/[?&]ssl[a-z]*=/.test(config.DATABASE_URL.reveal()))
      return 'DATABASE_TLS_…: DATABASE_URL must not have ssl parameters of its own';
  }
  return redisTlsContradiction(config) ?? mailContradiction(config);
}

/** The kubelet says in every pod where the API server is; KubeConfig takes it from there. */
function outsideOfCluster(
  { KUBECONFIG }: OperatorConfig,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  return KUBECONFIG === undefined && environment['KUBERNETES_SERVICE_HOST'] === undefined
    ? 'KUBECONFIG: is required outside of a cluster, such as ~/.kube/config'
    : undefined;
}

function mailContradiction({ SMTP_URL, SMTP_FROM, SMTP_TLS_CA_FILE }: OperatorConfig): string | undefined {
  if (SMTP_URL === undefined)
    return SMTP_FROM === undefined && SMTP_TLS_CA_FILE === undefined
      ? undefined
      : 'SMTP_FROM, SMTP_TLS_CA_FILE: without SMTP_URL nothing is sent';
  if (SMTP_FROM === undefined) return 'SMTP_FROM: is required with SMTP_URL, such as relay@example.com';
  return SMTP_URL.tls === 'None' && SMTP_TLS_CA_FILE !== undefined
    ? 'SMTP_TLS_CA_FILE: SMTP_URL says starttls=never'
    : undefined;
}

/** The configuration of this process. Prints the help, or what is wrong, and ends the process when there is none. */
export function processConfig(): OperatorConfig {
  const result = readConfig(process.argv.slice(2), process.env);
  if (result.kind === 'settings') return result.settings;
  const stream = result.kind === 'help' ? process.stdout : process.stderr;
  stream.write(result.text);
  process.exit(result.kind === 'help' ? 0 : 2);
}

/** @returns the URL, which `pg` parses again. It takes more than the standard does; what it takes and then looks up elsewhere is refused. */
function databaseUrl(text: string): Secret {
  if (!/^postgres(ql)?:\/\//.test(text)) throw new Error('must start with postgres:// or postgresql://');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // An unencoded /, ? or # in a password ends the host before it.
  if (url === undefined || [url.pathname, url.search, url.hash].some((part) => part.includes('@')))
    throw new Error(
      'must be postgres://user:password@host:5432/database, where in user and password %40 stands for @, %2F for /, %23 for # and %3F for ?',
    );
  if (url.hostname === '' && !url.searchParams.has('host')) throw new Error('must name a host');
  return new Secret(text);
}

function isOrigin({ pathname, search, hash, username, password }: URL): boolean {
  return pathname === '/' && [search, hash, username, password].every((part) => part === '');
}

/** The file that every pod with a service account has. */
function podNamespace(): string {
  try {
    return readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/namespace', 'utf8').trim();
  } catch {
    // Not in a pod: an operator on somebody's machine.
    return 'default';
  }
}
