import type { Readable } from 'node:stream';
import { Refused } from './refuse.ts';

/**
 * Reads all bytes of a request, then calls `done` once: with `body_too_large` as soon as there are more than `limit`, announced or not,
 * and with `request_malformed` when the client went away in the middle.
 * Listeners and not `for await`: an async iterator costs more than the rest of a small request.
 */
export function readBody(payload: Readable, limit: number, done: (error: Error | null, body?: Buffer) => void): void {
  let chunks: Buffer[] | undefined = [];
  let length = 0;
  const finish = (error: Error | null, body?: Buffer): void => {
    chunks = undefined;
    done(error, body);
  };
  payload.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= limit) chunks?.push(chunk);
    else if (chunks !== undefined) finish(new Refused('body_too_large'));
  });
  payload.once('end', () => {
    if (chunks === undefined) return;
    const [only] = chunks;
    finish(null, chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, length));
  });
  payload.once('error', (error) => {
    if (chunks !== undefined) finish(error);
  });
  // Also comes after `end`: by then nothing is left to say, and an error is only made when it is.
  payload.once('close', () => {
    if (chunks !== undefined) finish(new Refused('request_malformed'));
  });
}
