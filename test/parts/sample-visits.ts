import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import { appOf, type App, type ClientCertificate, type Token } from '#relay/directory/directory.ts';
import type { HttpVisit, LiveVisit, WebSocketVisit } from '#relay/gate/visit.ts';
import { SAMPLE_APP, SAMPLE_TOKEN } from './sample-entries.ts';

// Visits that the gate lets pass, for tests to spoil.

/** Epoch milliseconds of every visit. */
export const NOW = 1_000_000;
export const minted = mintToken('Live', new Uint8Array(MINT_BYTES).fill(3));
export const app = (changes: Partial<Omit<App, 'keys'>> = {}): App => ({
  ...appOf(
    {
      ...SAMPLE_APP,
      keys: [{ id: 'k1', key: 'appkey', secret: '', expiresAt: null, pending: false }],
    },
    new Map([['k1', 'appsecret']]),
    1,
  ),
  ...changes,
});
export const token = (changes: Partial<Token> = {}): Token => ({
  ...SAMPLE_TOKEN,
  sha256: minted.sha256,
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
