import type { Cluster, Redis } from 'ioredis';
import type { Monotonic } from '../limits/monotonic.ts';

export type RedisClient = Redis | Cluster;

/**
 * Asks Redis, but never waits for one that is away. undefined: no answer, for whatever reason.
 *
 * A connection can be half open for a long time before TCP notices. After the first unanswered question the connection is suspect: until
 * an answer comes, one question per `patienceMs` goes out as a probe and all others are answered undefined at once, so that neither
 * callers wait nor ioredis' queue grows.
 */
export class Patience {
  readonly #client: RedisClient;
  readonly #patienceMs: number;
  readonly #now: Monotonic;
  #suspectSince: number | undefined;
  #lastProbe = 0;

  constructor(client: RedisClient, patienceMs: number, now: Monotonic) {
    this.#client = client;
    this.#patienceMs = patienceMs;
    this.#now = now;
  }

  async ask<T>(send: (client: RedisClient) => Promise<T>): Promise<T | undefined> {
    if (this.#client.status !== 'ready' || !this.#mayAsk()) return undefined;
    const answer = send(this.#client).then(
      (value) => {
        this.#suspectSince = undefined;
        return value;
      },
      () => undefined,
    );
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => {
        this.#suspectSince ??= this.#now();
        resolve(undefined);
      }, this.#patienceMs);
    });
    try {
      return await Promise.race([answer, over]);
    } finally {
      clearTimeout(timer);
    }
  }

  #mayAsk(): boolean {
    if (this.#suspectSince === undefined) return true;
    const now = this.#now();
    if (now - this.#lastProbe < this.#patienceMs) return false;
    this.#lastProbe = now;
    return true;
  }
}
