import { defaultedAccess } from '#crds/access.ts';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import { appOf, type App, type ClientCertificate, type Token } from '../directory/directory.ts';
import type { HttpVisit, LiveVisit, WebSocketVisit } from './visit.ts';

// Visits that pass, for tests to spoil.

/** Epoch milliseconds of every visit. */
export const NOW = 1_000_000;
export const minted = mintToken('Live', new Uint8Array(MINT_BYTES).fill(3));
export const app = (changes: Partial<Omit<App, 'keys'>> = {}): App => ({
  ...appOf(
    {
      appId: '101',
      namespace: 'shop',
      name: 'checkout',
      enabled: true,
      keys: [{ id: 'k1', key: 'appkey', secret: '', expiresAt: null, pending: false }],
      authentication: { bearer: true, keyAndSecret: true, signature: true },
      access: defaultedAccess(undefined),
      limits: { connections: null, eventBytes: 10_240, clientEventsPerSecond: 10, presenceMembers: 100, rate: null },
      channels: {
        clientEvents: true,
        encrypted: true,
        subscriptionCounts: false,
        watchlists: false,
        cacheSeconds: 1_800,
      },
      webhooks: [],
    },
    new Map([['k1', 'appsecret']]),
    1,
  ),
  ...changes,
});
export const token = (changes: Partial<Token> = {}): Token => ({
  id: 't',
  appId: '101',
  namespace: 'shop',
  name: 'ci',
  environment: 'Live',
  expiresAt: null,
  rotated: false,
  graceUntil: null,
  scopes: null,
  rate: null,
  sha256: minted.sha256,
  revision: 1,
  ...changes,
});
export const http = (changes: Partial<HttpVisit> = {}): HttpVisit => ({
  door: 'http',
  serving: 'yes',
  app: app(),
  credential: { method: 'bearer', sha256: minted.sha256 },
  address: undefined,
  country: undefined,
  origin: undefined,
  certificate: undefined,
  registration: undefined,
  tlsMissing: false,
  token: token(),
  scope: 'events:publish',
  method: 'POST',
  path: '/apps/101/events',
  parameters: [],
  duplicatedHeader: false,
  contentType: 'application/json',
  announcedBytes: 2,
  body: Buffer.from('{}'),
  withinRate: true,
  now: NOW,
  ...changes,
});
/** Of a socket, when it asks to open and when it is open. */
const client = (): Omit<LiveVisit, 'door' | 'relayTokensAccepted'> => ({
  serving: 'yes',
  app: app(),
  credential: { method: 'publicKey', key: 'appkey' },
  address: undefined,
  country: undefined,
  origin: undefined,
  certificate: undefined,
  registration: undefined,
  now: NOW,
});
export const webSocket = (changes: Partial<WebSocketVisit> = {}): WebSocketVisit => ({
  door: 'websocket',
  ...client(),
  duplicatedHeader: false,
  tlsMissing: false,
  protocol: '7',
  withinRate: true,
  withinQuota: true,
  ...changes,
});
export const live = (changes: Partial<LiveVisit> = {}): LiveVisit => ({
  door: 'live',
  relayTokensAccepted: true,
  ...client(),
  ...changes,
});
export const registered = (changes: Partial<ClientCertificate> = {}): ClientCertificate => ({
  appId: '101',
  namespace: 'shop',
  name: 'billing',
  notAfter: null,
  sha256: 'ab'.repeat(32),
  ...changes,
});
