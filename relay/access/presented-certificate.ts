/** What is wrong with what somebody who is believed says of the client's certificate. */
export type CertificateFault = 'sha1' | 'unreadable' | 'contradictory';

/**
 * The certificate that a client came with: the SHA-256 of its DER, lower-case hex. Who proved to have its private key is not said here: the
 * TLS handshake with this relay, or a proxy that is believed. Names in it are never looked at, so that none can reach a log.
 */
export type PresentedCertificate = { readonly sha256: string } | { readonly fault: CertificateFault };

const SHA256_BYTES = 32;
const SHA1_BYTES = 20;

/** `AB:CD:…`, `abcd…`, or base64 of the digest's bytes, with or without padding, in either alphabet (RFC 4648, 4 and 5). */
export function readFingerprint(text: string): PresentedCertificate {
  const digest = hexBytes(text) ?? base64Bytes(text);
  if (digest?.length === SHA256_BYTES) return { sha256: digest.toString('hex') };
  return { fault: digest?.length === SHA1_BYTES ? 'sha1' : 'unreadable' };
}

const HEX_LENGTHS: ReadonlySet<number> = new Set([SHA1_BYTES * 2, SHA256_BYTES * 2]);

function hexBytes(text: string): Buffer | undefined {
  const hex = /^[0-9a-f]{2}(:[0-9a-f]{2})+$/i.test(text) ? text.replaceAll(':', '') : text;
  return HEX_LENGTHS.has(hex.length) && /^[0-9a-f]+$/i.test(hex) ? Buffer.from(hex, 'hex') : undefined;
}

/** Strict where Node is lenient: every character counts. undefined: not base64. */
export function base64Bytes(text: string): Buffer | undefined {
  const body = text.replace(/={1,2}$/, '');
  if (!/^[A-Za-z0-9+/_-]+$/.test(body) || body.length % 4 === 1) return undefined;
  return Buffer.from(body, 'base64');
}
