/**
 * Close codes of the Pusher protocol. 4000–4099: do not retry; 4100–4199: back off at least 1 s; 4200–4299: reconnect at once.
 * Nothing from 4300 on ever closes a socket: pusher-js would take it for a refusal. The same number goes into `pusher:error` first.
 */
export const CloseCode = {
  tlsOnly: 4000,
  appUnknown: 4001,
  appDisabled: 4003,
  overConnectionQuota: 4004,
  pathUnknown: 4005,
  versionInvalid: 4006,
  protocolUnsupported: 4007,
  protocolMissing: 4008,
  unauthorized: 4009,
  overCapacity: 4100,
  reconnect: 4200,
  noPong: 4201,
  inactive: 4202,
} as const;

export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

export type Close = { readonly code: CloseCode; readonly message: string };

/** Codes of `pusher:error` that leave the socket open. */
export const ErrorCode = { clientEventRate: 4301, watchlistTooLong: 4302 } as const;

/** RFC 6455, 7.4.1: a data type that the endpoint does not accept. Binary frames are no part of the Pusher protocol. */
export const UNSUPPORTED_DATA = 1003;

/** RFC 6455, 5.5: a control frame has at most 125 bytes, and two of them are the code. */
const MAX_REASON_BYTES = 123;

/** What a close frame has room for of a message, in whole characters: `ws` throws at more. `pusher:error`, which goes before it, says it all. */
export function closeReason(message: string): string {
  const bytes = Buffer.from(message);
  if (bytes.length <= MAX_REASON_BYTES) return message;
  let end = MAX_REASON_BYTES;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}
