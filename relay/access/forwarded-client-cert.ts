/** What counts of one element of Envoy's X-Forwarded-Client-Cert. */
export type ForwardedClientCert = {
  /** SHA-256 of the certificate, as hex. */
  readonly hash: string | undefined;
  /** PEM, URL-encoded. */
  readonly cert: string | undefined;
};

// A value that has a comma, semicolon, equals sign or quote in it stands in quotes as a whole, with a backslash before each quote. One that
// begins or ends in mid-value is refused: a client whose text has an odd number of quotes would else turn Envoy's inside out.
const PAIR = /([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;\\]*))(,|;|$)/y;

/**
 * The element that the last proxy appended (elements: `,`; pairs of one: `key=value` with `;` between). undefined: the header does not
 * follow the grammar, or the element says the same thing twice.
 */
export function lastElement(header: string): ForwardedClientCert | undefined {
  let pairs = new Map<string, string>();
  let isRepeated = false;
  PAIR.lastIndex = 0;
  for (;;) {
    const match = PAIR.exec(header);
    if (match === null) return undefined;
    const [, key = '', quoted, bare = '', end] = match;
    const name = key.toLowerCase();
    // A certificate has several names, but one hash.
    isRepeated ||= pairs.has(name) && (name === 'hash' || name === 'cert');
    pairs.set(name, quoted?.replace(/\\(.)/g, '$1') ?? bare);
    if (end === '') break;
    if (end === ';') continue;
    pairs = new Map();
    isRepeated = false;
    // A list may have a space after its comma (RFC 9110, 5.6.1).
    while (header[PAIR.lastIndex] === ' ' || header[PAIR.lastIndex] === '\t') PAIR.lastIndex += 1;
  }
  return isRepeated ? undefined : { hash: pairs.get('hash'), cert: pairs.get('cert') };
}
