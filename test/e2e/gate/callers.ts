import { mintToken, MINT_BYTES } from '#crds/token-format.ts';

/** A request or a handshake before a door and a way to authenticate make something of it. */
export type Call = {
  readonly appId: string;
  readonly key: string;
  readonly secret: string;
  readonly token: string;
  /** None at all. */
  readonly anonymous: boolean;
  readonly headers: Readonly<Record<string, string>>;
  /** A header that is sent twice. */
  readonly repeated: string | undefined;
  /** Of the events that it publishes. */
  readonly data: string;
  /** Says that its body has so many bytes, and sends none. */
  readonly announcedBytes: number | undefined;
  /** Its body is not quite the one that was signed. */
  readonly altered: boolean;
  readonly protocol: string;
};

/** In what a caller differs from the tenant itself, who calls over TLS and from Germany (test/integration/relay/geoip). */
export type Caller = { readonly name: string; readonly change: (call: Call) => Call };

const caller = (name: string, change: (call: Call) => Call): Caller => ({ name, change });
const sending = (name: string, headers: Readonly<Record<string, string>>): Caller =>
  caller(name, (call) => ({ ...call, headers: { ...call.headers, ...headers } }));

export const anybody = caller('anybody', (call) => call);
/** As the trusted proxy before the relays says. */
export const from = (address: string): Caller => sending(`from ${address}`, { 'x-forwarded-for': address });
export const page = (origin: string): Caller => sending(`a page of ${origin}`, { origin });
/** With this fingerprint, as the trusted proxy says. */
export const presenting = (fingerprint: string): Caller =>
  sending(`with certificate ${fingerprint.slice(0, 8)}… of ${fingerprint.length} digits`, {
    'x-client-cert-fingerprint': fingerprint,
  });
export const inPlaintext = sending('in plaintext', { 'x-forwarded-proto': 'http' });
export const saying = (data: string): Caller => caller(`saying "${data}"`, (call) => ({ ...call, data }));
export const ofProtocol = (protocol: string): Caller =>
  caller(`of protocol ${protocol}`, (call) => ({ ...call, protocol }));
export const announcing = (announcedBytes: number): Caller =>
  caller(`with ${announcedBytes} bytes`, (call) => ({ ...call, announcedBytes }));
export const sendingTwice = (repeated: string): Caller =>
  caller(`sending ${repeated} twice`, (call) => ({ ...call, repeated }));
export const ofNoApp = caller('of an app that is not there', (call) => ({ ...call, appId: '999999999999999' }));
/** Behind the back of who signed it: a blank more, which changes nothing of what it says. */
export const altering = caller('with an altered body', (call) => ({ ...call, altered: true }));
export const nobody = caller('without a credential', (call) => ({ ...call, anonymous: true }));
export const basic = caller('with another scheme', (call) => ({
  ...call,
  anonymous: true,
  headers: { ...call.headers, authorization: 'Basic eDp5' },
}));
export const twoWays = sending('with two credentials', {
  authorization: 'Bearer x',
  'x-relay-key': 'x',
  'x-relay-secret': 'x',
});
export const guessing = caller('with wrong secrets', (call) => ({
  ...call,
  secret: 'guessed',
  token: mintToken('Live', new Uint8Array(MINT_BYTES).fill(5)).token,
}));
export const ofNoKey = caller('with a key that is not there', (call) => ({ ...call, key: 'nosuchkey' }));
