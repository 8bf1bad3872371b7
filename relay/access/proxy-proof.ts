import { Secret } from '#crds/keyring.ts';
import { readFingerprint } from './presented-certificate.ts';

/** A secret that can be guessed is none, and this one goes over the wire with every request. */
const LEAST_CHARACTERS = 32;
// What a header can carry, without the comma that stands between two.
const TEXT = /^[\x21-\x2b\x2d-\x7e]+$/;

const items = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

/** Reads PROXY_SECRET. Throws an Error that does not repeat it. */
export function parseProxySecrets(text: string): readonly Secret[] {
  return items(text).map((item) => {
    if (item.length < LEAST_CHARACTERS || !TEXT.test(item))
      throw new Error(`expected ${LEAST_CHARACTERS} characters or more, without spaces (openssl rand -hex 32)`);
    return new Secret(item);
  });
}

/** Reads PROXY_CERTIFICATES, to lower-case hex. Throws an Error that names the first one that is no SHA-256. */
export function parseFingerprints(text: string): ReadonlySet<string> {
  return new Set(
    items(text).map((item) => {
      const read = readFingerprint(item);
      if ('sha256' in read) return read.sha256;
      throw new Error(`${item} is no SHA-256 fingerprint (openssl x509 -noout -fingerprint -sha256 -in proxy.crt)`);
    }),
  );
}
