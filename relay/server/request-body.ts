import type { Readable } from 'node:stream';
import { Refused } from './refuse.ts';

/** All bytes of a request. Rejects with `body_too_large` as soon as there are more than `limit`, announced or not. */
export async function readBody(payload: Readable, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of payload) {
    if (!Buffer.isBuffer(chunk)) continue;
    length += chunk.length;
    if (length > limit) throw new Refused('body_too_large');
    chunks.push(chunk);
  }
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, length);
}
