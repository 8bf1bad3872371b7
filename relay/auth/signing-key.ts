import { createHmac, hash } from 'node:crypto';

const BLOCK = 64;
const DIGEST = 32;
/** Of the texts of requests and subscriptions, in UTF-16 code units; what is longer, such as a webhook's body, goes Node's own way. */
const SHORT_LENGTH = 512;
/** In UTF-8 no code unit takes more. */
const SHORT_BYTES = 3 * SHORT_LENGTH;

/**
 * A secret as the key of HMAC-SHA256 (RFC 2104), for signatures by the thousand. Node's `createHmac` makes a context and an object with a
 * finalizer for each text, which under load costs three times the two hashes that an HMAC is; so short texts are hashed with the key's two
 * pads prepared. They are in memory of their own, made at the first signature, and never in the pool that other buffers share.
 */
export class SigningKey {
  readonly #secret: string;
  #pads: { readonly inner: Buffer; readonly outer: Buffer } | undefined;

  constructor(secret: string) {
    this.#secret = secret;
  }

  /** HMAC-SHA256, lower-case hex. A text is signed as UTF-8. */
  sign(data: string | Buffer): string {
    if (data.length > SHORT_LENGTH) return createHmac('sha256', this.#secret).update(data).digest('hex');
    const { inner, outer } = (this.#pads ??= padsOf(this.#secret));
    const length = typeof data === 'string' ? inner.write(data, BLOCK) : data.copy(inner, BLOCK);
    // As text, one byte a character: a buffer would be memory of its own, for 32 bytes.
    outer.write(hash('sha256', inner.subarray(0, BLOCK + length), 'latin1'), BLOCK, 'latin1');
    return hash('sha256', outer, 'hex');
  }
}

function padsOf(secret: string): { readonly inner: Buffer; readonly outer: Buffer } {
  const bytes = Buffer.from(secret);
  const key = bytes.length > BLOCK ? hash('sha256', bytes, 'buffer') : bytes;
  const inner = Buffer.alloc(BLOCK + SHORT_BYTES);
  const outer = Buffer.alloc(BLOCK + DIGEST);
  for (let at = 0; at < BLOCK; at++) {
    const byte = key[at] ?? 0;
    inner[at] = byte ^ 0x36;
    outer[at] = byte ^ 0x5c;
  }
  return { inner, outer };
}
