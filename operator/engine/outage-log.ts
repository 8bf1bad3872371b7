import type { Logger } from 'pino';

/**
 * One line per outage of a backend, however many parts of this process notice it: the first that does says so, and the last that recovers
 * says that it is over. What happens in between is for debugging.
 */
export class OutageLog {
  readonly #log: Logger;
  readonly #messages: { readonly down: string; readonly up: string };
  readonly #out = new Set<string>();

  constructor(log: Logger, messages: { readonly down: string; readonly up: string }) {
    this.#log = log;
    this.#messages = messages;
  }

  /** `part` names who noticed, uniquely. */
  down(part: string, fields: object): void {
    if (this.#out.size === 0) this.#log.warn(fields, this.#messages.down);
    else if (!this.#out.has(part)) this.#log.debug(fields, this.#messages.down);
    this.#out.add(part);
  }

  /** Returns whether this part had been out. */
  up(part: string, fields: object): boolean {
    if (!this.#out.delete(part)) return false;
    if (this.#out.size === 0) this.#log.info(fields, this.#messages.up);
    else this.#log.debug(fields, this.#messages.up);
    return true;
  }
}
