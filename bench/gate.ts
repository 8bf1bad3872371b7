import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { defaultedAccess } from '#crds/access.ts';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import { GeoipDatabase } from '#relay/access/geoip-database.ts';
import { geoipMetrics } from '#relay/access/geoip-metrics.ts';
import { ClientCertificates } from '#relay/access/client-certificates.ts';
import { MemoryActivityLog } from '#relay/activity/memory.ts';
import { SecurityEvents } from '#relay/activity/security-events.ts';
import { UseTally } from '#relay/credential-use/use-tally.ts';
import { IpRanges } from '#relay/access/ip-ranges.ts';
import { parseIpRanges, TrustedProxies } from '#relay/access/trusted-proxies.ts';
import { MemoryRateStore } from '#relay/limits/memory-rate-store.ts';
import { RateLimiter } from '#relay/limits/rate-limiter.ts';
import { Answer } from '#relay/server/answer.ts';
import { appInPath, HttpGate } from '#relay/server/http-gate.ts';
import { MemoryUsageWorld } from '#relay/usage/memory.ts';
import { Usage } from '#relay/usage/usage.ts';
import { HandBuiltDirectory } from '#test/integration/relay/hand-built-directory.ts';

// node bench/gate.ts: CPU time of the whole gate for an admitted request with a bearer token: gathering what it looks at, and every check of
// every stage, with every rule on. Needs nothing.

const TARGET = 15;
const RANGES = 10_000;
const BATCH = 50;
const WARM_UP = 600;
const BATCHES = 1_000;
const ROUNDS = 5;

const minted = mintToken('Live', new Uint8Array(MINT_BYTES).fill(7));
const directory = new HandBuiltDirectory();
await directory.setApp({
  access: {
    ...defaultedAccess(undefined),
    // 10,000 blocks, the client's among them.
    ipAllowlist: [
      ...Array.from({ length: RANGES - 1 }, (_, at) => `${11 + (at >> 12)}.${(at >> 4) & 255}.${(at & 15) << 4}.0/28`),
      '203.0.113.0/24',
    ],
    countries: { mode: 'Allow', codes: ['DE', 'FR'] },
    origins: ['https://*.example.com', 'http://localhost:3000'],
  },
  limits: {
    connections: null,
    eventBytes: 10_240,
    clientEventsPerSecond: 10,
    presenceMembers: 100,
    rate: { requestsPerMinute: 60_000_000, burst: 10_000_000 },
  },
});
await directory.setToken(minted.sha256, { scopes: ['channels:*', 'events:batch', 'events:publish'] });

const log = pino({ level: 'silent' });
await using geography = await GeoipDatabase.open({
  path: fileURLToPath(new URL('../test/integration/relay/geoip/countries.mmdb', import.meta.url)),
  metrics: geoipMetrics(new Registry()),
  log,
});
const now = (): number => performance.now();
const proxies = new TrustedProxies({
  ranges: new IpRanges(parseIpRanges('10.0.0.0/8')),
  header: 'x-forwarded-for',
  ignored: () => undefined,
});
const gate = new HttpGate(
  {
    directory,
    proxies,
    certificates: new ClientCertificates({
      settings: { headers: ['x-client-cert-fingerprint'], proxySecrets: [], proxyCertificates: new Set() },
      proxies,
      ignored: () => undefined,
    }),
    credentialUses: new UseTally(() => undefined, 30_000),
    geography,
    tlsMissing: () => false,
    wallClock: Date.now,
    usage: new Usage({
      store: new MemoryUsageWorld(Date.now).store('bench'),
      connections: () => 0,
      wallClock: Date.now,
    }),
    limiter: new RateLimiter(new MemoryRateStore(now), now, () => undefined),
    rates: { app: null, testToken: null },
    securityEvents: new SecurityEvents({ activity: new MemoryActivityLog(), log, now }),
  },
  { scope: 'channels:read', appOf: appInPath },
);

const connection = new Socket();
Object.defineProperty(connection, 'remoteAddress', { value: '10.0.0.1' });
const lines = [
  ['Host', 'relay.example.com'],
  ['User-Agent', 'pusher-http-node/5.3.4'],
  ['Accept', '*/*'],
  ['Authorization', `Bearer ${minted.token}`],
  ['Origin', 'https://shop.example.com'],
  ['X-Forwarded-For', '192.0.2.66, 203.0.113.9'],
  ['X-Forwarded-Proto', 'https'],
].flat();

type Waiting = { readonly request: IncomingMessage; readonly answer: Answer };

/** As the router hands it over, with headers that nobody has looked at yet. Without a body: reading it is no part of the gate. */
function arriving(): Waiting {
  const request = new IncomingMessage(connection);
  request.method = 'GET';
  request.url = '/api/v1/apps/101/channels';
  // What Node's parser calls; without it a request that was made by hand has no headers.
  Reflect.apply(Reflect.get(request, '_addHeaderLines'), request, [[...lines], lines.length]);
  return { request, answer: new Answer(new ServerResponse(request), 'bench') };
}

const params = { appId: '101' };

/** µs of CPU per request. */
async function batch(): Promise<number> {
  const waiting = Array.from({ length: BATCH }, arriving);
  const before = process.cpuUsage();
  for (const { request, answer } of waiting) await gate.admit(request, params, answer);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / BATCH;
}

async function round(): Promise<number> {
  let sum = 0;
  for (let at = 0; at < BATCHES; at += 1) sum += await batch();
  return sum / BATCHES;
}

for (let at = 0; at < WARM_UP; at += 1) await batch();
const rounds: number[] = [];
for (let at = 0; at < ROUNDS; at += 1) rounds.push(await round());
const median = rounds.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
process.stdout.write(
  `the whole gate, for an admitted bearer request with every rule on: ${median.toFixed(2)} µs of CPU\n`,
);
process.stdout.write(`Target: at most ${TARGET} µs. ${median <= TARGET ? 'Reached.' : 'Not reached.'}\n`);
