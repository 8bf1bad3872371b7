import type { Readable } from 'node:stream';
import { Refused } from './refuse.ts';

/**
 * All bytes of a request. Rejects with `body_too_large` as soon as there are more than `limit`, announced or not.
 * Listeners and not `for await`: an async iterator costs more than the rest of a small request.
 */
export function readBody(payload: Readable, limit: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let length = 0;
  payload.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= limit) chunks.push(chunk);
    else reject(new Refused('body_too_large'));
  });
  payload.once('end', () => {
    const [only] = chunks;
    resolve(chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks));
  });
  payload.once('error', reject);
  payload.once('close', () => reject(new Refused('request_malformed')));
  return promise;
}
