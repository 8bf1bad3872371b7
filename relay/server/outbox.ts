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

/**
 * One write per socket per turn of the event loop: what is pushed during a turn goes out together, after the turn's I/O and one more look
 * for what has arrived meanwhile. The kernel's send path costs more than everything the relay does for an event, so this is where a
 * burst becomes cheap; the second look makes one write of what several publishers send at once, and waits for nobody.
 * A consumer that still has more than `maxUnsentBytes` unsent when the next write comes is dropped. What is new does not count: a burst
 * larger than the limit is no fault of the client. So memory is bounded by sockets × (limit + the events of one turn, which they share).
 */
export class Outbox {
  readonly #maxUnsentBytes: number;
  #consumers: Consumer[] = [];
  #empty = Run.empty();

  constructor(maxUnsentBytes: number) {
    this.#maxUnsentBytes = maxUnsentBytes;
  }

  push(consumer: Consumer, frame: Buffer): void {
    if (consumer.waiting === undefined) {
      if (this.#consumers.length === 0) setImmediate(this.#lookOnceMore);
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

  /** The event loop asks for what has arrived before it comes to an immediate, and does not wait, because there is one. */
  readonly #lookOnceMore = (): void => {
    setImmediate(this.#flush);
  };

  readonly #flush = (): void => {
    const consumers = this.#consumers;
    this.#consumers = [];
    // A fresh root, or the last event of every turn would stay reachable.
    this.#empty = Run.empty();
    for (const consumer of consumers) this.flushOne(consumer);
  };

  #write(consumer: Consumer, run: Run): void {
    if (consumer.unsentBytes() > this.#maxUnsentBytes) consumer.tooSlow();
    else consumer.write(run.joined());
  }
}
