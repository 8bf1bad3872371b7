/**
 * The web origins that an app lets in (RFC 6454): exact ones, and `https://*.example.com` for every host below a domain, however many
 * labels deep, but not for the domain itself.
 */
export class Origins {
  readonly #exact = new Set<string>();
  readonly #below: { readonly scheme: string; readonly end: string }[] = [];

  /** @param patterns as in a RelayApp. What is none lets nobody in. */
  constructor(patterns: Iterable<string>) {
    for (const pattern of patterns) {
      const wildcard = /^([^:]*:\/\/)\*\.(.*)$/s.exec(pattern);
      const origin = canonicalOrigin(wildcard === null ? pattern : `${wildcard[1]}${wildcard[2]}`);
      if (origin === undefined) continue;
      if (wildcard === null) this.#exact.add(origin);
      else {
        const host = origin.indexOf('://') + 3;
        this.#below.push({ scheme: origin.slice(0, host), end: `.${origin.slice(host)}` });
      }
    }
  }

  /** @param origin as `canonicalOrigin` writes it. */
  has(origin: string): boolean {
    return (
      this.#exact.has(origin) ||
      this.#below.some(({ scheme, end }) => origin.startsWith(scheme) && origin.endsWith(end))
    );
  }
}

/** An Origin header that is none. */
const UNREADABLE_ORIGIN = '';

/** Of a request; undefined: it has none, as from anything that is not a browser. */
export function originOf(header: string | undefined): string | undefined {
  return header === undefined ? undefined : (canonicalOrigin(header) ?? UNREADABLE_ORIGIN);
}

const LABELS = '[a-z0-9_-]+(?:\\.[a-z0-9_-]+)*';
/** Before it is put in lower case: that would make letters of ASCII out of a few others, such as the Kelvin sign. */
const FORM = new RegExp(
  String.raw`^([a-z][a-z0-9+.-]{0,30}):\/\/(${LABELS}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?$`,
  'i',
);
const MAX_LENGTH = 300;
const DEFAULT_PORTS: ReadonlyMap<string, number> = new Map([
  ['http', 80],
  ['https', 443],
]);

/** In lower case and without a port that the scheme has anyway; `null` is one (sandboxed pages, files). undefined: not an origin. */
function canonicalOrigin(text: string): string | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  if (text === 'null') return text;
  const [, ...parts] = FORM.exec(text) ?? [];
  const [scheme, host, port] = parts.map((part: string | undefined) => part?.toLowerCase());
  if (scheme === undefined || host === undefined) return undefined;
  const isDefault = port === undefined || DEFAULT_PORTS.get(scheme) === Number(port);
  return isDefault ? `${scheme}://${host}` : `${scheme}://${host}:${Number(port)}`;
}
