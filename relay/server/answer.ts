import type { ServerResponse } from 'node:http';

/** Of every answer that has a body. */
const JSON_TYPE = 'application/json; charset=utf-8';

/** The answer to one request of the API: headers by and by, then all of it in one write, on node's own response. */
export class Answer {
  readonly #response: ServerResponse;
  /** Names and values in turn, as `writeHead` takes them without looking at each. */
  readonly #headers: string[];

  constructor(response: ServerResponse, requestId: string) {
    this.#response = response;
    this.#headers = ['x-request-id', requestId];
  }

  header(name: string, value: string): void {
    this.#headers.push(name, value);
  }

  /** @param json undefined: no body (204). */
  send(status: number, json?: string): void {
    const headers = this.#headers;
    // Something failed while it was sent: half an answer must not look whole, and there can be no other.
    if (this.#response.headersSent) {
      this.#response.destroy();
      return;
    }
    if (json !== undefined) headers.push('content-type', JSON_TYPE, 'content-length', String(Buffer.byteLength(json)));
    this.#response.writeHead(status, headers).end(json);
  }
}
