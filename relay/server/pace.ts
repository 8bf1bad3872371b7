import type { Monotonic } from '../limits/monotonic.ts';

/** What may be held back: a `ws` socket is. */
export type Readable = { pause(): void; resume(): void };

/** What all sockets of a relay share. */
export type PaceParts = {
  readonly now: Monotonic;
  /** Beside what every socket has, because an app may allow that many client events. */
  readonly clientEventsPerSecond: (appId: string) => number;
  /** Called each time that a socket is held back. */
  readonly heldBack: () => void;
};

/** A page that subscribes to all that it shows, after a reconnect too, stays below it. */
const BURST = 1_000;
const PER_SECOND = 300;

/**
 * How fast the messages of one socket are read. Whoever sends faster is held back by TCP: nothing is refused or lost, and it is not told;
 * but no key that can be read in a browser lets anybody have the relay to themselves. What was already read is served: the bucket goes
 * below zero, and nothing more is read until it is made up for.
 */
export class Pace {
  readonly #parts: PaceParts;
  readonly #appId: string;
  readonly #socket: Readable;
  #tokens = BURST;
  #at: number;
  #waiting = false;

  constructor(parts: PaceParts, appId: string, socket: Readable) {
    this.#parts = parts;
    this.#appId = appId;
    this.#socket = socket;
    this.#at = parts.now();
  }

  /** A message or a control frame came. */
  count(): void {
    this.#tokens -= 1;
    if (this.#tokens >= 0 || this.#waiting) return;
    const wait = this.#untilMadeUp();
    if (wait === 0) return;
    this.#socket.pause();
    this.#parts.heldBack();
    this.#resumeAfter(wait);
  }

  #resumeAfter(ms: number): void {
    this.#waiting = true;
    setTimeout(() => {
      const more = this.#untilMadeUp();
      if (more > 0) return this.#resumeAfter(more);
      this.#waiting = false;
      this.#socket.resume();
    }, ms).unref();
  }

  /** Milliseconds; 0: the bucket is not below zero. */
  #untilMadeUp(): number {
    const now = this.#parts.now();
    const perMs = (PER_SECOND + this.#parts.clientEventsPerSecond(this.#appId)) / 1_000;
    this.#tokens = Math.min(BURST, this.#tokens + (now - this.#at) * perMs);
    this.#at = now;
    return this.#tokens >= 0 ? 0 : Math.ceil(-this.#tokens / perMs);
  }
}
