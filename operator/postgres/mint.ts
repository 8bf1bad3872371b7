import { randomBytes, randomInt } from 'node:crypto';
import { Secret } from '#crds/keyring.ts';
import { MINT_BYTES, mintToken, type Environment, type MintedToken } from '#crds/token-format.ts';

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz';

/** Ten digits: SDKs parse app ids as numbers (pusher-protocol, "app ids must be numeric"). A clash is caught by the primary key. */
export function mintAppId(): string {
  return String(randomInt(1_000_000_000, 10_000_000_000));
}

/** A public key of 20 and a secret of 40 characters of `[0-9a-z]` (103 and 206 bits). */
export function mintAppKey(): { readonly key: string; readonly secret: Secret } {
  return { key: text(20), secret: mintAppSecret() };
}

export function mintAppSecret(): Secret {
  return new Secret(text(40));
}

/** Names a key in statuses and logs. */
export function mintKeyId(): string {
  return text(8);
}

export function mintBearerToken(environment: Environment): MintedToken {
  return mintToken(environment, randomBytes(MINT_BYTES));
}

function text(length: number): string {
  return Array.from({ length }, () => ALPHABET.charAt(randomInt(ALPHABET.length))).join('');
}
