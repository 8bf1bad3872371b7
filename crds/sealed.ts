import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Keyring } from './keyring.ts';

const PURPOSE = 'aes-256-gcm';

/** The text is not one of ours, its key is not in the ring, or it was sealed for another owner or field. Never says what was inside. */
export class UnsealError extends Error {
  readonly code: 'malformed' | 'unknown_key' | 'not_authentic';
  constructor(code: 'malformed' | 'unknown_key' | 'not_authentic', message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UnsealError';
    this.code = code;
  }
}

/**
 * AES-256-GCM (NIST SP 800-38D) with the key id in the text: `v1.{keyId}.{iv}.{ciphertext+tag}`, base64url.
 * `owner` and `field` are associated data: a sealed text that is moved to another row or column does not open.
 * @param iv 12 fresh random bytes; the caller passes them so that this stays pure.
 */
export function seal(keyring: Keyring, owner: readonly string[], field: string, plain: string, iv: Buffer): string {
  const key = keyring.derive(keyring.current, PURPOSE);
  if (key === undefined) throw new UnsealError('unknown_key', 'the keyring has no current key');
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  cipher.setAAD(associatedData(owner, field));
  const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `v1.${keyring.current}.${iv.toString('base64url')}.${sealed.toString('base64url')}`;
}

/** Opens what `seal` made for the same owner and field. Throws {@link UnsealError}. */
export function unseal(keyring: Keyring, owner: readonly string[], field: string, text: string): string {
  const [version, keyId, iv, body, ...rest] = text.split('.');
  if (version !== 'v1' || keyId === undefined || iv === undefined || body === undefined || rest.length > 0) {
    throw new UnsealError('malformed', 'not a sealed text of version 1');
  }
  const key = keyring.derive(keyId, PURPOSE);
  if (key === undefined)
    throw new UnsealError('unknown_key', `sealed with key ${keyId}, which the keyring does not have`);
  const bytes = Buffer.from(body, 'base64url');
  if (bytes.length < 16) throw new UnsealError('malformed', 'the sealed text is cut off');
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64url'));
    decipher.setAAD(associatedData(owner, field));
    decipher.setAuthTag(bytes.subarray(bytes.length - 16));
    return decipher.update(bytes.subarray(0, bytes.length - 16), undefined, 'utf8') + decipher.final('utf8');
  } catch (cause) {
    throw new UnsealError('not_authentic', `does not open with key ${keyId} for ${field}`, { cause });
  }
}

/** The id of the key that a text of `seal` names; undefined for what is none. */
export function keyIdOf(text: string): string | undefined {
  const [version, keyId] = text.split('.');
  return version === 'v1' ? keyId : undefined;
}

/** Length-prefixed, so that ("a","bc") and ("ab","c") differ. */
function associatedData(owner: readonly string[], field: string): Buffer {
  return Buffer.from([...owner, field].map((part) => `${Buffer.byteLength(part)}:${part}`).join(''));
}
