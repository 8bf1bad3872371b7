import { createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';

const KEY_BYTES = 32;

/**
 * Whether a text is an X25519 public key in base64 that may be used: 32 bytes, and no point of low order, with which everybody would share
 * the same secret (RFC 7748, 6.1). Whether it is one shows when it is used once: the shared secret of such a point is all zeros, which
 * OpenSSL refuses.
 */
export function isUsablePublicKey(text: string): boolean {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== KEY_BYTES || bytes.toString('base64') !== text) return false;
  const { privateKey } = generateKeyPairSync('x25519');
  try {
    const publicKey = createPublicKey({
      key: { kty: 'OKP', crv: 'X25519', x: bytes.toString('base64url') },
      format: 'jwk',
    });
    diffieHellman({ privateKey, publicKey });
    return true;
  } catch {
    // A point of low order: whoever registers it is told that the key is not usable.
    return false;
  }
}
