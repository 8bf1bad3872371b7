import type { IncomingMessage } from 'node:http';
import { Refused } from './refuse.ts';

/**
 * All bytes of a request. Rejects with `body_too_large` as soon as there are more than `limit`, announced or not, and with
 * `request_malformed` when the client went away in the middle.
 * Listeners and not `for await`: an async iterator costs more than the rest of a small request.
 */
export function readBody(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] | undefined = [];
    let length = 0;
    const refuse = (code: 'body_too_large' | 'request_malformed'): void => {
      if (chunks === undefined) return;
      chunks = undefined;
      reject(new Refused(code));
    };
    const goneAway = (): void => refuse('request_malformed');
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= limit) chunks?.push(chunk);
      else refuse('body_too_large');
    });
    request.on('end', () => {
      if (chunks === undefined) return;
      const [only] = chunks;
      resolve(chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, length));
      chunks = undefined;
    });
    // Also comes after `end`: by then nothing is left to say, and an error is only made when it is. Without a listener for `error` node
    // makes none either.
    request.on('close', goneAway);
    if (request.destroyed) goneAway();
  });
}
