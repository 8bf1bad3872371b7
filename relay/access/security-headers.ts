import { CERTIFICATE_HEADERS } from './certificate-headers.ts';
import { PROXY_SECRET_HEADER } from './client-certificates.ts';

const SECURITY_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'x-relay-key',
  'x-relay-secret',
  PROXY_SECRET_HEADER,
  ...CERTIFICATE_HEADERS,
]);

const LENGTHS: readonly boolean[] = Array.from({ length: 64 }, (_, length) =>
  [...SECURITY_HEADERS].some((name) => name.length === length),
);

/**
 * Whether a header that says who calls stands twice. Node keeps the first of two, or joins them, so it is the raw headers that tell. By length
 * first: this looks at every header of every request.
 */
export function hasDuplicatedSecurityHeader(rawHeaders: readonly string[]): boolean {
  let seen = '';
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const sent = rawHeaders[at] ?? '';
    if (LENGTHS[sent.length] !== true) continue;
    const name = sent.toLowerCase();
    if (!SECURITY_HEADERS.has(name)) continue;
    if (seen.includes(` ${name} `)) return true;
    seen += ` ${name} `;
  }
  return false;
}
