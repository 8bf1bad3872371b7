import { isInternalTail } from './server-message.ts';

/**
 * What one subscription to a cache channel has to do with events while it is in the making: the last event is asked for when the bus
 * already delivers, so an event may come from both, in either order. Pure: who owns it says what arrived, what the cache answered and
 * when the grace is over, and sends the tails that it is given.
 *
 * The cache keeps an event before it is published. So when `cached` is among what arrived, everything up to it is older; when it is not,
 * it either was published before the bus delivered here, or is still on its way. Its age tells: one that was kept a while ago has
 * arrived if it ever will. For a young one the order is open until it arrives or {@link REPLAY_GRACE_MS} has passed.
 */
export class CacheReplay {
  #phase: 'asking' | 'open' | 'settled' = 'asking';
  #cached: Buffer | undefined;
  #held: Buffer[] = [];

  /** Whether the client was told of its subscription. */
  get answered(): boolean {
    return this.#phase !== 'asking';
  }

  /** Nothing is held back any more: the subscription is like any other. */
  get settled(): boolean {
    return this.#phase === 'settled';
  }

  /** An event of the channel. Returns what to send now. */
  arrived(tail: Buffer): readonly Buffer[] {
    if (this.#phase === 'settled' || (this.#phase === 'open' && isInternalTail(tail))) return [tail];
    if (this.#phase === 'open' && this.#cached?.equals(tail) === true) {
      return this.#settle(this.#held.filter(isInternalTail));
    }
    this.#held.push(tail);
    return [];
  }

  /**
   * What the cache had, or nothing. Returns what to send after `subscription_succeeded`, the cached event first.
   * @param ageMs since it was kept.
   */
  answeredWith(cached: Buffer | undefined, ageMs: number): readonly Buffer[] {
    if (cached === undefined) return this.#settle(this.#held);
    const at = this.#held.findLastIndex((tail) => tail.equals(cached));
    if (at >= 0 || ageMs > REPLAY_GRACE_MS) {
      return this.#settle([cached, ...this.#held.filter((tail, index) => index > at || isInternalTail(tail))]);
    }
    this.#phase = 'open';
    this.#cached = cached;
    const internal = this.#held.filter(isInternalTail);
    this.#held = this.#held.filter((tail) => !isInternalTail(tail));
    return [cached, ...internal];
  }

  /** {@link REPLAY_GRACE_MS} after the answer: what was held is newer than the cached event. */
  graceOver(): readonly Buffer[] {
    return this.#settle(this.#held);
  }

  #settle(send: readonly Buffer[]): readonly Buffer[] {
    this.#phase = 'settled';
    this.#held = [];
    this.#cached = undefined;
    return send;
  }
}

/** Far more than an event takes through Redis; events behind a young one wait that long at most, once. In milliseconds. */
export const REPLAY_GRACE_MS = 250;
