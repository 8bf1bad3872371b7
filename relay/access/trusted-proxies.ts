import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { clientAddress, type ForwardingHeader } from './client-address.ts';
import { parseIpAddress, parseIpRange, type IpAddress, type IpRange } from './ip-address.ts';
import type { IpRanges } from './ip-ranges.ts';

/** Reads addresses and blocks with commas between. Throws an Error that names the first one that is neither. */
export function parseIpRanges(text: string): readonly IpRange[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
    .map((item) => {
      const range = parseIpRange(item);
      if (range === undefined) throw new Error(`${item} is no address and no block such as 10.0.0.0/8`);
      return range;
    });
}

export type TrustedProxiesParts = {
  readonly ranges: IpRanges;
  readonly header: ForwardingHeader;
  /** The other end of a connection, as PROXY protocol said. Default: the peer itself. */
  readonly peerOf?: (socket: Socket) => string;
  /** A forwarding header came from somebody who may not send one. Called for each look at the request. */
  readonly ignored: (request: IncomingMessage) => void;
};

/** The header that no proxy of the installation writes. From a trusted one it is only ignored: it may have let its client's through. */
const OTHER = { 'x-forwarded-for': 'forwarded', forwarded: 'x-forwarded-for' } as const;

/** Says who calls: the peer of the connection, or whom the proxies that are trusted name in their header. */
export class TrustedProxies {
  readonly #parts: TrustedProxiesParts;
  /** By connection, which carries many requests. */
  readonly #peers = new WeakMap<object, boolean>();

  constructor(parts: TrustedProxiesParts) {
    this.#parts = parts;
  }

  /** undefined: it cannot be told. Looks at the forwarding headers also when nobody needs to know, to count those that are ignored. */
  clientOf(request: IncomingMessage, needed: boolean): IpAddress | undefined {
    const { ranges, header, ignored } = this.#parts;
    const value = request.headers[header];
    const other = request.headers[OTHER[header]];
    if (value === undefined && other === undefined && !needed) return undefined;
    const peer = this.#peerOf(request.socket);
    if (!this.#isTrusted(request.socket, peer)) {
      if (value !== undefined || other !== undefined) ignored(request);
      return needed ? parseIpAddress(peer) : undefined;
    }
    if (!needed) return undefined;
    // Node joins several lines by commas, in their order, as HTTP has it for lists.
    const forwarded = typeof value === 'string' ? [value] : (value ?? []);
    return clientAddress({ peer, forwarded }, header, ranges).address;
  }

  /** What a trusted proxy says of how it was called (X-Forwarded-Proto); undefined: nothing, or it is nobody who may say so. */
  protocolOf({ headers, socket }: IncomingMessage): string | undefined {
    const value = headers['x-forwarded-proto'];
    if (value === undefined || !this.#isTrusted(socket, this.#peerOf(socket))) return undefined;
    return Array.isArray(value) ? value.join(',') : value;
  }

  /** Whether this connection is a trusted proxy's, or PROXY protocol says that it is one's. */
  isBehind({ socket }: IncomingMessage): boolean {
    return this.#isTrusted(socket, this.#peerOf(socket));
  }

  trusts(peer: string): boolean {
    const address = parseIpAddress(peer);
    return address !== undefined && this.#parts.ranges.has(address);
  }

  #peerOf(socket: Socket): string {
    return this.#parts.peerOf?.(socket) ?? socket.remoteAddress ?? '';
  }

  #isTrusted(connection: object, peer: string): boolean {
    if (this.#parts.ranges.empty) return false;
    const known = this.#peers.get(connection);
    if (known !== undefined) return known;
    const trusted = this.trusts(peer);
    this.#peers.set(connection, trusted);
    return trusted;
  }
}
