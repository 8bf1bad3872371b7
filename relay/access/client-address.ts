import { parseIpAddress, type IpAddress } from './ip-address.ts';
import type { IpRanges } from './ip-ranges.ts';

/** The header in which trusted proxies hand on who called. One, chosen by the platform: a proxy that sets one lets the client's other one through. */
export type ForwardingHeader = 'x-forwarded-for' | 'forwarded';

export type Hops = {
  /** Of the TCP connection, or what PROXY protocol said in its place. */
  readonly peer: string;
  /** Every value of the forwarding header in the order in which they came. */
  readonly forwarded: readonly string[];
};

export type ClientAddress = {
  /** undefined: the peer's own address could not be read (a Unix socket). */
  readonly address: IpAddress | undefined;
  /** As it came, for logs and answers. */
  readonly text: string;
  /** A forwarding header came from somebody who may not send one; it was ignored. */
  readonly spoofed: boolean;
};

/**
 * Who calls: from the right, the first address that is not a trusted proxy's (what stands further left, that one may have made up). An entry
 * that is no address ends the walk at the proxy that sent it.
 */
export function clientAddress(hops: Hops, header: ForwardingHeader, trusted: IpRanges): ClientAddress {
  const peer = parseIpAddress(hops.peer);
  const isTrusted = (address: IpAddress | undefined): boolean => address !== undefined && trusted.has(address);
  if (!isTrusted(peer)) return { address: peer, text: hops.peer, spoofed: hops.forwarded.length > 0 };
  let client: { readonly address: IpAddress | undefined; readonly text: string } = { address: peer, text: hops.peer };
  const isRfc7239 = header === 'forwarded';
  const entries = hops.forwarded.flatMap((value) => (isRfc7239 ? splitOutsideQuotes(value, ',') : value.split(',')));
  for (let at = entries.length - 1; at >= 0; at -= 1) {
    const entry = entries[at] ?? '';
    const text = isRfc7239 ? forwardedFor(entry) : withoutPort(entry.trim());
    const address = text === undefined ? undefined : parseIpAddress(text);
    if (text === undefined || address === undefined) break;
    client = { address, text };
    if (!isTrusted(address)) break;
  }
  return { ...client, spoofed: false };
}

/**
 * At separators that are not inside of a quoted string (RFC 9110, 5.6.1 and 5.6.4). Read from the right, where the proxies that are trusted
 * write: a quote that the client opened and did not close must not swallow what they added. X-Forwarded-For knows no quotes at all.
 */
function splitOutsideQuotes(value: string, separator: ',' | ';'): string[] {
  const parts: string[] = [];
  let quoted = false;
  let end = value.length;
  for (let at = value.length - 1; at >= 0; at -= 1) {
    const character = value.charAt(at);
    if (character === '"') quoted = quoted ? isEscaped(value, at) : true;
    else if (character === separator && !quoted) {
      parts.push(value.slice(at + 1, end));
      end = at;
    }
  }
  parts.push(value.slice(0, end));
  return parts.reverse();
}

/** By an odd number of backslashes before it. */
function isEscaped(value: string, at: number): boolean {
  let backslashes = 0;
  while (value.charAt(at - 1 - backslashes) === '\\') backslashes += 1;
  return backslashes % 2 === 1;
}

/** The `for` of one element of Forwarded (RFC 7239, 4 and 6): `for=192.0.2.60`, `for="[2001:db8::1]:4711"`. Twice is none. */
function forwardedFor(element: string): string | undefined {
  const pairs = splitOutsideQuotes(element, ';').map((pair) => /^\s*for\s*=\s*(.*?)\s*$/i.exec(pair)?.[1]);
  const [only, ...others] = pairs.filter((value) => value !== undefined);
  if (only === undefined || others.length > 0) return undefined;
  const quoted = /^"(.*)"$/.exec(only);
  return withoutPort(quoted?.[1]?.replace(/\\(.)/g, '$1') ?? only);
}

/** `198.51.100.7:80` and `[2001:db8::1]:80` without the port, which some load balancers add. */
function withoutPort(text: string): string {
  if (!text.includes(':') && !text.startsWith('[')) return text;
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1];
  return bracketed ?? /^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/.exec(text)?.[1] ?? text;
}
