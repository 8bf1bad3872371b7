import { CERTIFICATE_HEADERS } from './certificate-headers.ts';
import { PROXY_SECRET_HEADER } from './client-certificates.ts';

const SECURITY_HEADERS: readonly string[] = [
  'authorization',
  'x-relay-key',
  'x-relay-secret',
  PROXY_SECRET_HEADER,
  ...CERTIFICATE_HEADERS,
];

type Candidate = { readonly name: string; readonly first: number; readonly bit: number };

const CANDIDATES: readonly (readonly Candidate[] | undefined)[] = Array.from({ length: 28 }, (_, length) => {
  const fitting = SECURITY_HEADERS.filter((name) => name.length === length);
  if (fitting.length === 0) return undefined;
  return fitting.map((name) => ({ name, first: name.charCodeAt(0), bit: 1 << SECURITY_HEADERS.indexOf(name) }));
});

const LOWER_CASE = 0x20;

/**
 * Whether a header that says who calls stands twice. Node keeps the first of two, or joins them, so it is the raw headers that tell. By length
 * and first letter first: this looks at every header of every request.
 */
export function hasDuplicatedSecurityHeader(rawHeaders: readonly string[]): boolean {
  let seen = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const sent = rawHeaders[at] ?? '';
    const candidates = CANDIDATES[sent.length];
    if (candidates === undefined) continue;
    const first = sent.charCodeAt(0) | LOWER_CASE;
    for (const candidate of candidates) {
      if (candidate.first !== first || sent.toLowerCase() !== candidate.name) continue;
      if ((seen & candidate.bit) !== 0) return true;
      seen |= candidate.bit;
    }
  }
  return false;
}
