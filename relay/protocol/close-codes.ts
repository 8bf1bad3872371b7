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
