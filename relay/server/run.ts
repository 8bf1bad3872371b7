/**
 * Frames that wait for the end of the turn, as a chain. Sockets of one channel get the same frames in the same order, so they share the
 * same run: queueing an event for a thousand sockets allocates one run, and their bytes are joined once.
 */
export class Run {
  static readonly empty = (): Run => new Run(undefined, Buffer.alloc(0));

  readonly bytes: number;
  readonly #previous: Run | undefined;
  readonly #frame: Buffer;
  #next: Run | undefined;
  #joined: Buffer | undefined;

  private constructor(previous: Run | undefined, frame: Buffer) {
    this.#previous = previous;
    this.#frame = frame;
    this.bytes = (previous?.bytes ?? 0) + frame.length;
  }

  /** This run and one more frame. Remembers the last answer, by identity of the frame. */
  followedBy(frame: Buffer): Run {
    if (this.#next === undefined || this.#next.#frame !== frame) this.#next = new Run(this, frame);
    return this.#next;
  }

  previous(): Run | undefined {
    return this.#previous;
  }

  joined(): Buffer {
    if (this.#joined === undefined) {
      const frames = [this.#frame];
      // The root, which has no previous, has no frame either.
      for (let run = this.#previous; run?.previous() !== undefined; run = run.previous()) frames.push(run.#frame);
      const [only] = frames;
      this.#joined = frames.length === 1 && only !== undefined ? only : Buffer.concat(frames.reverse(), this.bytes);
    }
    return this.#joined;
  }
}
