/** How a request came. */
export type Passage = {
  /** Over TLS that this process ended. */
  readonly encrypted: boolean;
  /** X-Forwarded-Proto of a trusted proxy, all its lines joined by commas; undefined: it came from nobody who is believed, or says nothing. */
  readonly forwardedProto: string | undefined;
};

const ENCRYPTED = new Set(['https', 'wss']);

/**
 * Whether a request was readable on its way here. A trusted proxy speaks for what is in front of it, so that the last stretch may be
 * plaintext. One that tells of several stretches must have had TLS on all: which of them its client's was differs between proxies.
 */
export function cameInPlaintext({ encrypted, forwardedProto }: Passage): boolean {
  if (forwardedProto === undefined) return !encrypted;
  return !forwardedProto.split(',').every((proto) => ENCRYPTED.has(proto.trim().toLowerCase()));
}
