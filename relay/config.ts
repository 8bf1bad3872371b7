import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';
import { workerId } from '#crds/directory/worker-id.ts';
import { redisTlsContradiction, redisTlsSettings } from '#crds/link-tls.ts';
import { parseRate } from '#crds/rate.ts';
import { commonSettings, parsedBy, port, readSettings, seconds, type SettingsResult } from '#crds/settings.ts';
import { parseCertificateHeaders } from './access/certificate-headers.ts';
import { parseFingerprints, parseProxySecrets } from './access/proxy-proof.ts';
import { parseIpRanges } from './access/trusted-proxies.ts';
import { parseAllowed } from './webhooks/address-policy.ts';

/** Every setting of the relay. */
const settings = z.object({
  PORT: port.default(6001).describe('Port for clients: WebSocket and HTTP API. 0: any free one.'),
  METRICS_PORT: port.default(9601).describe('Port for /metrics, /livez and /readyz. Keep it inside the cluster.'),
  ...commonSettings,
  ...redisTlsSettings((path) => readFileSync(path, 'utf8')),
  TLS_CERT_FILE: z
    .string()
    .optional()
    .describe(
      'A PEM file, the certificate with its chain: PORT then serves HTTPS and wss://. Read again when it changes. Needs TLS_KEY_FILE.',
    ),
  TLS_KEY_FILE: z.string().optional().describe('A PEM file, the private key of TLS_CERT_FILE.'),
  REQUIRE_TLS: z
    .stringbool()
    .optional()
    .describe(
      'Refuse what comes in plaintext (403, 4000). A proxy of TRUSTED_PROXIES says in X-Forwarded-Proto how it was called. Default: true with TLS_CERT_FILE, else false.',
    ),
  TLS_CLIENT_CERTIFICATES: z
    .enum(['off', 'request'])
    .default('off')
    .describe(
      'request: with TLS_CERT_FILE, ask every client for a certificate, for apps with access.clientCertificates; browsers then ask their users. Whoever has none may connect, and the app decides.',
    ),
  RELAY_ID: z
    .string()
    .regex(/^[A-Za-z0-9._:-]{1,200}$/, 'letters, digits and . _ : - only')
    .default(() => hostname())
    .describe('Name of this process among the replicas. Default: the host name.'),
  RELAY_WORKERS: z.coerce
    .number()
    .int()
    .min(1)
    .max(64)
    .default(1)
    .describe(
      'Processes that share the port, one for each core to use; each is a replica, RELAY_ID:w1, RELAY_ID:w2, …',
    ),
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
  RELAY_WEBHOOK_ALLOW: parsedBy(parseAllowed)
    .prefault('')
    .describe(
      'Where webhooks may be sent beside public addresses: addresses, CIDRs, host names and .suffixes with commas between. Default: nowhere.',
    ),
  TRUSTED_PROXIES: parsedBy(parseIpRanges)
    .prefault('')
    .describe(
      'Addresses and CIDRs, with commas between, of the proxies that may say on whose behalf they call. Default: none, the peer is the client.',
    ),
  FORWARDED_HEADER: z
    .enum(['x-forwarded-for', 'forwarded'])
    .default('x-forwarded-for')
    .describe('The header in which they say it. The other one is ignored, whoever sends it.'),
  PROXY_PROTOCOL: z
    .enum(['off', 'required'])
    .default('off')
    .describe(
      'required: connections of TRUSTED_PROXIES begin with a PROXY protocol header, version 1 or 2, before TLS too; without one they are cut. Of others none is read.',
    ),
  CLIENT_CERT_HEADERS: parsedBy(parseCertificateHeaders)
    .prefault('x-client-cert-fingerprint,x-forwarded-client-cert')
    .describe(
      'The headers, with commas between, in which TRUSTED_PROXIES say with which certificate a client came. They must set or remove each of these, else clients can make them up. Also: x-client-cert, ssl-client-cert, x-forwarded-tls-client-cert, client-cert. Default: x-client-cert-fingerprint,x-forwarded-client-cert.',
    ),
  PROXY_SECRET: parsedBy(parseProxySecrets)
    .prefault('')
    .describe(
      'Believed are only proxies of TRUSTED_PROXIES that send this text in X-Relay-Proxy-Secret: a neighbour may have such an address too. Two with a comma between while it is changed. Default: the address is enough.',
    ),
  PROXY_CERTIFICATES: parsedBy(parseFingerprints)
    .prefault('')
    .describe(
      'Believed are only proxies of TRUSTED_PROXIES that connect with one of these certificates themselves: SHA-256 fingerprints with commas between. Needs TLS_CLIENT_CERTIFICATES=request. Default: the address is enough.',
    ),
  GEOIP_DATABASE: z
    .string()
    .default('')
    .describe(
      'Path of a MaxMind database (mmdb) of countries or cities, for apps with access.countries. Read again when it changes. Default: none.',
    ),
  RELAY_DEFAULT_RATE: parsedBy(parseRate)
    .prefault('none')
    .describe(
      'Rate limit of apps that declare none, as requests per minute and burst, such as 120/200, or none. Default: none.',
    ),
  RELAY_TEST_RATE: parsedBy(parseRate)
    .prefault('60/30')
    .describe(
      'No test token (rly_test_…) has more, as requests per minute and burst; none: nothing of their own. Default: 60/30.',
    ),
  RELAY_MAX_SUBSCRIPTIONS: z.coerce
    .number()
    .int()
    .min(1)
    .default(1_000)
    .describe('Channels that one connection may be subscribed to; more are refused with a subscription error.'),
});

export type RelayConfig = z.output<typeof settings>;

/** A worker process has no management port: its supervisor has that. */
export type WorkerConfig = Omit<RelayConfig, 'METRICS_PORT'> & { readonly METRICS_PORT: undefined };

/** @param args without node and script · @param environment process.env */
export function readConfig(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): SettingsResult<RelayConfig> {
  const summary = 'The relay: Pusher protocol and HTTP API for the apps of the directory.';
  const result = readSettings(settings, { summary, args, environment });
  if (result.kind !== 'settings') return result;
  const contradiction = contradictionIn(result.settings);
  return contradiction === undefined ? result : { kind: 'invalid', text: `${contradiction}\n` };
}

function contradictionIn(config: RelayConfig): string | undefined {
  const { TLS_CERT_FILE, TLS_KEY_FILE, TLS_CLIENT_CERTIFICATES, REQUIRE_TLS } = config;
  const { TRUSTED_PROXIES, PROXY_PROTOCOL, PROXY_CERTIFICATES, PROXY_SECRET } = config;
  if ((TLS_CERT_FILE === undefined) !== (TLS_KEY_FILE === undefined))
    return 'TLS_CERT_FILE and TLS_KEY_FILE: one is of no use without the other';
  if (REQUIRE_TLS === true && TLS_CERT_FILE === undefined && TRUSTED_PROXIES.length === 0)
    return 'REQUIRE_TLS: without TLS_CERT_FILE and TRUSTED_PROXIES everybody would be refused';
  if (PROXY_PROTOCOL === 'required' && TRUSTED_PROXIES.length === 0)
    return 'PROXY_PROTOCOL: headers are read from TRUSTED_PROXIES only, and there are none';
  if (TLS_CLIENT_CERTIFICATES === 'request' && TLS_CERT_FILE === undefined)
    return 'TLS_CLIENT_CERTIFICATES: without TLS_CERT_FILE there is no handshake to ask in';
  if (PROXY_CERTIFICATES.size > 0 && TLS_CLIENT_CERTIFICATES === 'off')
    return 'PROXY_CERTIFICATES: no proxy is asked for its certificate without TLS_CLIENT_CERTIFICATES=request';
  if ((PROXY_CERTIFICATES.size > 0 || PROXY_SECRET.length > 0) && TRUSTED_PROXIES.length === 0)
    return 'PROXY_SECRET and PROXY_CERTIFICATES: only TRUSTED_PROXIES are asked for them, and there are none';
  return redisTlsContradiction(config);
}

/** The configuration of this process. Prints the help, or what is wrong, and ends the process when there is none. */
export function processConfig(): RelayConfig {
  const result = readConfig(process.argv.slice(2), process.env);
  if (result.kind === 'settings') return result.settings;
  const stream = result.kind === 'help' ? process.stdout : process.stderr;
  stream.write(result.text);
  process.exit(result.kind === 'help' ? 0 : 2);
}

const WORKER_NUMBER = 'RELAY_WORKER_NUMBER';

/** Added to the environment of a worker process. */
export function workerEnvironment(worker: number): Readonly<Record<string, string>> {
  return { [WORKER_NUMBER]: String(worker) };
}

/** The number of this worker process; undefined in every other process. Not a setting: only the supervisor sets it. */
export function workerNumber(): number | undefined {
  const text = process.env[WORKER_NUMBER];
  return text === undefined ? undefined : Number(text);
}

/** What differs for a worker, besides the port: its own name among the replicas. */
export function workerConfig(config: RelayConfig, worker: number): WorkerConfig {
  return { ...config, RELAY_ID: workerId(config.RELAY_ID, worker), METRICS_PORT: undefined };
}
