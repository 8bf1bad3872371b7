import type { Monotonic } from '../limits/monotonic.ts';
import { Run } from './run.ts';

/** A socket as the outbox sees it. */
export interface Consumer {
  /** Frames that wait for the end of this turn; undefined: none. Owned by the outbox. */
  waiting: Run | undefined;
  /** Bytes that were written and that the kernel has not taken yet. */
  unsentBytes(): number;
  write(bytes: Buffer): void;
  /** It reads too slowly; what waited for it is dropped. Must end the connection. */
  tooSlow(): void;
}

/** Writing that takes less than this is no load, in milliseconds. */
const LOAD_MS = 1;
/** After writing for some time, nothing is written for as many times as long… */
const REST = 2;
/** … but never longer than this, in milliseconds: it is what load may add to an event's way. */
const MAX_REST_MS = 8;

/**
 * One write per socket per turn of the event loop: what is pushed during a turn goes out together, after the turn's I/O and one more look
 * for what has arrived meanwhile. The kernel's send path costs more than everything the relay does for an event, so this is where a
 * burst becomes cheap; the second look makes one write of what several publishers send at once, and waits for nobody.
 * Under load it rests between two times of writing, by how long the last one took, and what comes meanwhile goes out together: a relay that
 * has time writes at once, one that has not writes less often.
 * A consumer that still has more than `maxUnsentBytes` unsent when the next write comes is dropped. What is new does not count: a burst
 * larger than the limit is no fault of the client. So memory is bounded by sockets × (limit + the events of one turn or rest, which they share).
 */
export class Outbox {
  readonly #maxUnsentBytes: number;
  readonly #now: Monotonic;
  #consumers: Consumer[] = [];
  #empty = Run.empty();
  #restUntil = 0;

  constructor(maxUnsentBytes: number, now: Monotonic) {
    this.#maxUnsentBytes = maxUnsentBytes;
    this.#now = now;
  }

  push(consumer: Consumer, frame: Buffer): void {
    if (consumer.waiting === undefined) {
      if (this.#consumers.length === 0) this.#begin();
      this.#consumers.push(consumer);
    }
    consumer.waiting = (consumer.waiting ?? this.#empty).followedBy(frame);
  }

  /** Writes what waits for one consumer now: before a close frame, which takes another way out. */
  flushOne(consumer: Consumer): void {
    const run = consumer.waiting;
    consumer.waiting = undefined;
    if (run !== undefined) this.#write(consumer, run);
  }

  #begin(): void {
    const rest = this.#restUntil - this.#now();
    if (rest > 0) setTimeout(this.#lookOnceMore, rest);
    else setImmediate(this.#lookOnceMore);
  }

  /** The event loop asks for what has arrived before it comes to an immediate, and does not wait, because there is one. */
  readonly #lookOnceMore = (): void => {
    setImmediate(this.#flush);
  };

  readonly #flush = (): void => {
    const consumers = this.#consumers;
    this.#consumers = [];
    // A fresh root, or the last event of every turn would stay reachable.
    this.#empty = Run.empty();
    const from = this.#now();
    for (const consumer of consumers) this.flushOne(consumer);
    const to = this.#now();
    if (to - from >= LOAD_MS) this.#restUntil = to + Math.min((to - from) * REST, MAX_REST_MS);
  };

  #write(consumer: Consumer, run: Run): void {
    if (consumer.unsentBytes() > this.#maxUnsentBytes) consumer.tooSlow();
    else consumer.write(run.joined());
  }
}
