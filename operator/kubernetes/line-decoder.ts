import { MalformedStreamError } from '../engine/errors.ts';

const NEWLINE = 0x0a;

/**
 * Cuts a byte stream into lines. It looks for the newline byte, which occurs in no multi-byte character of UTF-8, and decodes only whole
 * lines, so it does not matter where chunks were cut. A line beyond `maxBytes` is an error, not memory.
 */
export class LineDecoder {
  readonly #maxBytes: number;
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The lines that `chunk` completes, without their newlines; empty ones are left out. Throws MalformedStreamError. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#hold(chunk.subarray(start, end));
      if (this.#pendingBytes > 0) lines.push(this.#take());
      start = end + 1;
    }
    this.#hold(chunk.subarray(start));
    return lines;
  }

  /** Call at the end of the stream: what is left is half a line, which only a broken connection leaves. */
  end(): void {
    if (this.#pendingBytes > 0) throw new MalformedStreamError('the stream ended in the middle of a line');
  }

  #hold(part: Buffer): void {
    if (part.length === 0) return;
    this.#pendingBytes += part.length;
    if (this.#pendingBytes > this.#maxBytes) {
      throw new MalformedStreamError(`a line of the stream is longer than ${this.#maxBytes} bytes`);
    }
    this.#pending.push(part);
  }

  #take(): string {
    const [first] = this.#pending;
    const line = this.#pending.length === 1 && first !== undefined ? first : Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    return line.toString('utf8');
  }
}
