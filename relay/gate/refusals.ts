import { CloseCode } from '../protocol/close-codes.ts';

/**
 * Every refusal that the relay knows: a closed, documented list (docs/errors.md is checked against it). `status` answers an HTTP request,
 * `close` ends a socket (null: no socket is ever refused for this), `message` says to the caller what to do, and never why in detail
 * where that would help a guesser. The code is the metric's label.
 */
export type Refusal = {
  readonly status: 400 | 401 | 403 | 404 | 405 | 408 | 409 | 413 | 422 | 426 | 429 | 431 | 500 | 503;
  readonly close: CloseCode | null;
  readonly message: string;
};

export const refusals = {
  // the path and the request itself
  path_unknown: { status: 404, close: CloseCode.pathUnknown, message: 'No such path.' },
  method_not_allowed: {
    status: 405,
    close: null,
    message: 'This path is not served with this method: Allow names those that are.',
  },
  websocket_version_unsupported: {
    status: 426,
    close: null,
    message: 'Sec-WebSocket-Version must be 13: no other version of WebSocket is spoken here.',
  },
  request_malformed: { status: 400, close: null, message: 'The request is not valid HTTP.' },
  request_timeout: { status: 408, close: null, message: 'The request did not arrive in time.' },
  headers_too_large: { status: 431, close: null, message: 'The request headers are too large.' },
  header_duplicated: { status: 400, close: CloseCode.unauthorized, message: 'A security header stands twice.' },
  parameter_duplicated: { status: 400, close: null, message: 'A query parameter of a signed request stands twice.' },
  parameter_invalid: { status: 400, close: null, message: 'A query parameter is not valid.' },
  body_too_large: {
    status: 413,
    close: null,
    message: 'The request body is too large: the data content of this event exceeds the allowed maximum.',
  },
  body_invalid: { status: 400, close: null, message: 'The request body is not valid.' },
  channel_invalid: { status: 400, close: null, message: 'A channel name is not valid.' },
  channel_not_presence: { status: 400, close: null, message: 'Users are known of presence channels only.' },
  channel_without_auth: { status: 400, close: null, message: 'This channel needs no authorization.' },
  encrypted_channel_alone: {
    status: 400,
    close: null,
    message: 'An event for an encrypted channel goes to that channel alone: its payload is encrypted for it.',
  },
  encrypted_payload_invalid: {
    status: 400,
    close: null,
    message:
      'The data of an event on an encrypted channel must be {"nonce","ciphertext"}, both base64, and nothing else.',
  },
  encryption_disabled: { status: 403, close: null, message: 'Encrypted channels are not enabled for this app.' },
  public_key_invalid: {
    status: 400,
    close: null,
    message: 'public_key must be an X25519 public key: 32 bytes in base64, and no point of low order.',
  },
  public_key_unknown: { status: 404, close: null, message: 'No public key is registered under this name.' },
  public_keys_full: { status: 409, close: null, message: 'The app has as many public keys as it may. Delete some.' },
  socket_unknown: { status: 404, close: null, message: 'No connection has this socket id.' },
  event_too_large: { status: 413, close: null, message: 'The data content of this event exceeds the allowed maximum.' },
  secret_found: {
    status: 422,
    close: null,
    message: 'The payload holds a secret, which the app rejects.',
  },
  batch_too_large: { status: 400, close: null, message: 'Batch too large (> 10).' },
  protocol_missing: { status: 400, close: CloseCode.protocolMissing, message: 'No protocol version supplied.' },
  protocol_invalid: { status: 400, close: CloseCode.versionInvalid, message: 'Invalid version string format.' },
  protocol_unsupported: {
    status: 400,
    close: CloseCode.protocolUnsupported,
    message: 'Unsupported protocol version: 4 to 7 are served.',
  },
  // the relay itself
  directory_not_ready: {
    status: 503,
    close: CloseCode.overCapacity,
    message: 'The relay is not ready yet. Try again.',
  },
  directory_fenced: {
    status: 503,
    close: CloseCode.overCapacity,
    message: 'The relay has lost contact with its control plane. Try again.',
  },
  tls_required: {
    status: 403,
    close: CloseCode.tlsOnly,
    message: 'Only TLS is served here: connect by https:// or wss://.',
  },
  draining: { status: 503, close: CloseCode.reconnect, message: 'The relay is shutting down. Connect again.' },
  internal: {
    status: 500,
    close: CloseCode.reconnect,
    message: 'The relay failed to answer. The request id names it in its log.',
  },
  replica_silent: {
    status: 503,
    close: null,
    message: 'A replica did not answer, and no other one has this connection. Try again.',
  },
  store_away: {
    status: 503,
    close: null,
    message: 'Redis cannot be reached, and this cannot be answered without it. Try again.',
  },
  // the app
  app_unknown: { status: 404, close: CloseCode.appUnknown, message: 'No such app.' },
  app_disabled: { status: 403, close: CloseCode.appDisabled, message: 'The app is disabled.' },
  ip_not_allowed: {
    status: 403,
    close: CloseCode.unauthorized,
    message: 'The app does not let this address in.',
  },
  country_not_allowed: {
    status: 403,
    close: CloseCode.unauthorized,
    message: 'The app does not let this country in.',
  },
  origin_not_allowed: {
    status: 403,
    close: CloseCode.unauthorized,
    message: 'The app does not let pages of this origin in.',
  },
  // 403 and not 401: a certificate cannot be added to the connection that lacks it, so there is nothing to ask for.
  client_certificate_required: {
    status: 403,
    close: CloseCode.unauthorized,
    message: 'The app lets in only who connects with a client certificate.',
  },
  client_certificate_unknown: {
    status: 403,
    close: CloseCode.unauthorized,
    message: 'The client certificate is not registered for this app, or was revoked.',
  },
  client_certificate_expired: {
    status: 403,
    close: CloseCode.unauthorized,
    message: 'The client certificate has expired.',
  },
  // 400: these say how a proxy is set up, not who the client is.
  client_certificate_sha1: {
    status: 400,
    close: CloseCode.unauthorized,
    message:
      'The proxy sent the SHA-1 of the client certificate, as $ssl_client_fingerprint of nginx is. Send the certificate ($ssl_client_escaped_cert) or its SHA-256.',
  },
  client_certificate_unreadable: {
    status: 400,
    close: CloseCode.unauthorized,
    message: 'The proxy sent a client certificate, or a fingerprint, that cannot be read.',
  },
  client_certificate_contradictory: {
    status: 400,
    close: CloseCode.unauthorized,
    message: 'The headers name different client certificates. The proxy must set or remove each that is believed.',
  },
  app_without_key: { status: 409, close: null, message: 'The app has no key to sign with.' },
  // who calls
  authentication_required: {
    status: 401,
    close: null,
    message: 'Send a bearer token, X-Relay-Key and X-Relay-Secret, or a Pusher signature.',
  },
  authentication_scheme_unsupported: {
    status: 401,
    close: null,
    message: 'Authorization must be Bearer and a token: Authorization: Bearer rly_…',
  },
  authentication_ambiguous: { status: 400, close: null, message: 'Send one kind of credential, not several.' },
  method_disabled: { status: 401, close: null, message: 'The app does not allow this way to authenticate.' },
  token_unknown: { status: 401, close: null, message: 'The token is unknown or was revoked.' },
  token_expired: { status: 401, close: null, message: 'The token has expired.' },
  token_revoked: {
    status: 401,
    close: CloseCode.unauthorized,
    message: 'The token that signed for this connection was revoked or has expired.',
  },
  token_of_other_app: { status: 403, close: null, message: 'The token belongs to another app.' },
  scope_missing: { status: 403, close: null, message: 'The token lacks the scope that this endpoint asks for.' },
  key_unknown: { status: 401, close: CloseCode.unauthorized, message: 'The key is unknown or was revoked.' },
  key_or_secret_wrong: { status: 401, close: null, message: 'The key or the secret is wrong.' },
  signature_invalid: { status: 401, close: null, message: 'Invalid signature.' },
  signature_expired: { status: 401, close: null, message: 'The timestamp is more than 600 s off. Check the clock.' },
  signature_version_unsupported: { status: 401, close: null, message: 'auth_version must be 1.0.' },
  body_digest_invalid: { status: 401, close: null, message: 'body_md5 does not fit the body.' },
  // how much
  rate_limited: {
    status: 429,
    close: CloseCode.overCapacity,
    message: 'Too many requests, or too many connects. Wait as long as Retry-After says, or back off.',
  },
  connection_quota: {
    status: 403,
    close: CloseCode.overConnectionQuota,
    message: 'The app is over its connection quota.',
  },
  connection_terminated: {
    status: 403,
    close: CloseCode.unauthorized,
    message: 'You got disconnected by the app.',
  },
  slow_consumer: { status: 503, close: CloseCode.overCapacity, message: 'The client reads too slowly.' },
} as const satisfies Record<string, Refusal>;

export type RefusalCode = keyof typeof refusals;

/** `refusals` without its literal types, for code that looks one up. */
export function refusalOf(code: RefusalCode): Refusal {
  return refusals[code];
}

/** Refusals that say something about who tries to get in; the owners of the app are told of them (activity/security-events.ts). */
export const securityFacts: ReadonlySet<RefusalCode> = new Set<RefusalCode>([
  'header_duplicated',
  'tls_required',
  'ip_not_allowed',
  'country_not_allowed',
  'origin_not_allowed',
  'client_certificate_required',
  'client_certificate_unknown',
  'client_certificate_expired',
  'client_certificate_contradictory',
  'token_unknown',
  'token_expired',
  'token_of_other_app',
  'scope_missing',
  'key_unknown',
  'key_or_secret_wrong',
  'signature_invalid',
  'signature_expired',
  'body_digest_invalid',
]);
