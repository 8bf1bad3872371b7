import type { IncomingHttpHeaders } from 'node:http';
import { clientName } from '#crds/facts/client-name.ts';

/** Which program calls: the official server SDKs say so in a header of their own, everything else in User-Agent. */
export function clientOfRequest(headers: IncomingHttpHeaders): string | undefined {
  const library = headers['x-pusher-library'];
  const named = typeof library === 'string' ? clientName(library) : undefined;
  return named ?? (headers['user-agent'] === undefined ? undefined : clientName(headers['user-agent']));
}
