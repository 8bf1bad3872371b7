import { Secret } from '#crds/keyring.ts';

/** RFC 9110, 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110, 5.5, without the obsolete bytes above ASCII: what every receiver reads alike. */
const VALUE = /^[\t\x20-\x7e]*$/;
/** What the relay says itself, and what is about one connection only (RFC 9110, 7.6.1). */
const RESERVED: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'connection',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
]);
/** Every relay holds them in memory, and every change of the app sends them again. */
const MAX_BYTES = 8_192;

export type ParsedHeaders = { readonly headers: Secret } | { readonly invalid: string };

/**
 * The headers that a Secret's data stands for: a JSON object with sorted keys, or what is wrong, in words that name keys and never a value.
 * White space around a value goes: a file that ends with a newline is the usual way to make a Secret.
 */
export function webhookHeaders(data: Readonly<Record<string, string>>): ParsedHeaders {
  const headers = Object.entries(data)
    .map(([name, value]) => [name, value.trim()] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  const seen = new Set<string>();
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (!TOKEN.test(name)) return { invalid: `its key ${JSON.stringify(name)} is no header name` };
    if (RESERVED.has(lower) || lower.startsWith('x-pusher-'))
      return { invalid: `its key ${name} is a header that only the relay may set` };
    if (seen.has(lower)) return { invalid: `its key ${name} stands twice, in upper and lower case` };
    if (!VALUE.test(value))
      return { invalid: `the value of its key ${name} is not one line of ASCII text, as a header must be` };
    seen.add(lower);
  }
  const text = JSON.stringify(Object.fromEntries(headers));
  if (Buffer.byteLength(text) > MAX_BYTES) return { invalid: `its headers are longer than ${MAX_BYTES} bytes` };
  return { headers: new Secret(text) };
}
