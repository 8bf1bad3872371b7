import fc from 'fast-check';
import { frameBytes } from './raw-web-socket.ts';
import { signinMessage, subscribeMessage, type Credentials } from './signed-messages.ts';

/** What a client may come up with: arbitraries for bytes, frames, and texts near the protocol's grammar. */

export const CHANNELS = [
  'orders',
  'cache-orders',
  'private-room',
  'private-cache-room',
  'private-encrypted-room',
  'presence-room',
  'presence-cache-room',
] as const;

export const rawBytes = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes));

/** Frames of every kind, about half of them well formed. */
export const frames = fc.array(
  fc
    .record({
      opcode: fc.oneof(fc.constant(1), fc.integer({ min: 0, max: 15 })),
      fin: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
      rsv: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 7 })),
      masked: fc.oneof({ weight: 6, arbitrary: fc.constant(true) }, fc.constant(false)),
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
        fc.string({ unit: 'binary', maxLength: 100 }).map((text) => Buffer.from(text)),
        fc.constant(Buffer.from('{"event":"pusher:ping","data":{}}')),
      ),
    })
    .map(({ opcode, payload, ...header }) => frameBytes(opcode, payload, header)),
  { minLength: 1, maxLength: 8 },
);

// Texts, not values: duplicated keys, numbers out of range and lone surrogates exist on the wire only.
const names = [
  'event',
  'data',
  'channel',
  'auth',
  'channel_data',
  'user_data',
  'user_id',
  'user_info',
  'id',
  'watchlist',
];
const events = [
  'pusher:subscribe',
  'pusher:unsubscribe',
  'pusher:signin',
  'pusher:ping',
  'pusher:pong',
  'pusher:error',
  'pusher:connection_established',
  'pusher_internal:subscription_succeeded',
  'pusher_internal:member_added',
  'client-x',
  'client-',
  'orders-created',
];
const lone = (hex: string): string => `"\\u${hex}"`;
const scalarText = fc.oneof(
  fc.constantFrom(
    'null',
    'true',
    '0',
    '-0',
    '1e999',
    '-1e-999',
    '9'.repeat(400),
    '0.1e1',
    lone('d800'),
    lone('dfff'),
    '""',
  ),
  fc.constantFrom(...CHANNELS, ...events, '#server-to-user-1', '__proto__').map((text) => JSON.stringify(text)),
  fc.string({ unit: 'binary', maxLength: 30 }).map((text) => JSON.stringify(text)),
  fc.constantFrom(200, 300, 12_000).map((length) => `"${'x'.repeat(length)}"`),
);
const keyText = fc
  .oneof(fc.constantFrom(...names, '__proto__', 'constructor', 'toString', 'toJSON'), fc.string({ maxLength: 5 }))
  .map((name) => JSON.stringify(name));
const objectText = (value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .array(fc.tuple(keyText, value), { maxLength: 6 })
    .map((pairs) => `{${pairs.map((pair) => pair.join(':')).join(',')}}`);
const { value: jsonText } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    scalarText,
    objectText(tie('value')),
    fc.array(tie('value'), { maxLength: 4 }).map((items) => `[${items.join(',')}]`),
    // A text that is JSON itself, as channel_data and user_data are.
    tie('value').map((text) => JSON.stringify(text)),
    fc.constantFrom('[', '{"a":').map((open) => `${open.repeat(500)}0${(open === '[' ? ']' : '}').repeat(500)}`),
  ),
}));
export { jsonText };

/** A client message, as text, of somebody who has the app's secret or not. The socket id comes when it is known. */
export type Utterance = (socketId: string, credentials: Credentials) => string;

const said =
  (text: string): Utterance =>
  () =>
    text;
const nearGrammar = fc
  .tuple(fc.constantFrom(...events), jsonText, jsonText)
  .map(([event, data, channel]) => said(`{"event":"${event}","data":${data},"channel":${channel}}`));
const fields = fc
  .tuple(fc.constantFrom(...events), fc.constantFrom(...CHANNELS), jsonText, jsonText)
  .map(([event, channel, auth, more]) =>
    said(
      `{"event":"${event}","channel":"${channel}","data":{"channel":"${channel}","auth":${auth},"channel_data":${more},"user_data":${more}}}`,
    ),
  );
const twice = fc
  .tuple(fc.constantFrom(...CHANNELS), jsonText)
  .map(([channel, other]) =>
    said(
      `{"event":"pusher:subscribe","event":"client-x","data":{"channel":${other},"channel":"${channel}"},"channel":"${channel}"}`,
    ),
  );
const valid: fc.Arbitrary<Utterance> = fc.oneof(
  fc.tuple(fc.constantFrom(...CHANNELS), fc.constantFrom('1', '2', '__proto__'), fc.jsonValue({ maxDepth: 2 })).map(
    ([channel, user_id, user_info]): Utterance =>
      (socketId, credentials) =>
        JSON.stringify(
          subscribeMessage(
            credentials,
            socketId,
            channel,
            channel.startsWith('presence') ? { user_id, user_info } : undefined,
          ),
        ),
  ),
  fc.tuple(fc.constantFrom('1', '2'), fc.jsonValue({ maxDepth: 2 })).map(
    ([id, watchlist]): Utterance =>
      (socketId, credentials) =>
        JSON.stringify(
          signinMessage(credentials, socketId, {
            id,
            watchlist: Array.isArray(watchlist) ? watchlist.map(String) : [id],
          }),
        ),
  ),
  fc
    .tuple(fc.constantFrom(...CHANNELS), fc.jsonValue({ maxDepth: 3 }))
    .map(([channel, data]) => said(JSON.stringify({ event: 'client-x', channel, data }))),
  fc
    .constantFrom(...CHANNELS)
    .map((channel) => said(JSON.stringify({ event: 'pusher:unsubscribe', data: { channel } }))),
);

export const utterances: fc.Arbitrary<Utterance[]> = fc.array(
  fc.oneof(nearGrammar, fields, twice, valid, jsonText.map(said)),
  { minLength: 1, maxLength: 12 },
);

const segment = fc.oneof(
  fc.constantFrom(
    'apps',
    'api',
    'v1',
    '101',
    '102',
    'channels',
    'users',
    'events',
    'batch_events',
    'connections',
    'analytics',
  ),
  fc.constantFrom('auth', 'channel', 'user', 'encryption', 'terminate_connections', 'openapi.json', ...CHANNELS),
  fc.constantFrom('..', '.', '', '%2e%2e', '%2f', '%00', '%ff', '%F0%9D%84%9E', '__proto__', '#', '*', 'a'.repeat(300)),
);
/** Method, path with query, and body of a request near the HTTP API. */
export const requests = fc.record({
  method: fc.constantFrom('GET', 'POST', 'DELETE', 'PUT', 'HEAD', 'OPTIONS', 'PATCH'),
  path: fc.oneof(
    fc.array(segment, { maxLength: 7 }).map((parts) => `/${parts.join('/')}`),
    fc
      .tuple(fc.constantFrom('/apps/101', '/api/v1/apps/101'), fc.array(segment, { maxLength: 3 }))
      .map(([app, parts]) => [app, ...parts].join('/')),
    fc.constantFrom('/apps/101/events', '/api/v1/apps/101/batch_events', '/api/v1/apps/101/auth/channel'),
  ),
  query: fc.array(
    fc.tuple(
      fc.constantFrom(
        'info',
        'filter_by_prefix',
        'auth_key',
        'auth_signature',
        'body_md5',
        'limit',
        'cursor',
        'from',
        'to',
        'interval',
      ),
      fc.constantFrom(
        'subscription_count',
        'user_count',
        '1',
        '-1',
        '1e9',
        '%00',
        '%',
        '__proto__',
        'presence-',
        '',
        'minute',
      ),
    ),
    { maxLength: 3 },
  ),
  body: fc.oneof(
    jsonText,
    fc
      .tuple(jsonText, jsonText, jsonText)
      .map(
        ([channel, data, more]) => `{"name":"x","channel":${channel},"data":${data},"info":${more},"channels":${more}}`,
      ),
    fc
      .tuple(fc.constantFrom(...CHANNELS), jsonText)
      .map(([channel, data]) => `{"name":"x","channel":"${channel}","data":${data}}`),
    fc
      .tuple(fc.constantFrom(...CHANNELS), jsonText)
      .map(([channel, data]) => `{"batch":[{"name":"x","channel":"${channel}","data":${data}},${data}]}`),
  ),
});
