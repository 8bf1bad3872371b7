import type { IncomingHttpHeaders } from 'node:http';
import { MOST_USES, type CredentialUseFact } from '#crds/facts/credential-use.ts';
import { clientName } from '#crds/facts/client-name.ts';
import type { FactSource, TakenFacts } from '../facts/fact-source.ts';
import { clientOfRequest } from './client-of-request.ts';

/** Of one credential. */
type Use = {
  /** Since it was last told of. */
  requests: number;
  /** Epoch ms; 0: never. */
  usedAt: number;
  client: string | null;
  /** When it was first used since it was last told of, epoch ms; 0: all is told. */
  untoldSince: number;
  /** Epoch ms; 0: never. */
  toldAt: number;
};

/** Where everybody says that a credential has let somebody in. */
export type CredentialUses = {
  /** @param now epoch ms */
  request(appId: string, credential: string, headers: IncomingHttpHeaders, now: number): void;
  /**
   * Without a request: a connect, a signature at a socket, or (with `count` 0) a socket that is still open.
   * @param client as it says of itself; undefined: it does not
   */
  use(appId: string, credential: string, client: string | undefined, count: 0 | 1, now: number): void;
};

/** Who uses what, since it was last told: plain numbers, because this is asked of every request. */
export class UseTally implements CredentialUses, FactSource {
  readonly #apps = new Map<string, Map<string, Use>>();
  readonly #toldAgainMs: number;
  readonly #beforeTaking: (tally: CredentialUses, now: number) => void;

  /**
   * @param beforeTaking says what is in use without a word, such as the key of an open socket.
   * @param toldAgainMs how often one in steady use is told of; a first use is in the next report.
   */
  constructor(beforeTaking: (tally: CredentialUses, now: number) => void, toldAgainMs: number) {
    this.#beforeTaking = beforeTaking;
    this.#toldAgainMs = toldAgainMs;
  }

  request(appId: string, credential: string, headers: IncomingHttpHeaders, now: number): void {
    const use = this.#of(appId, credential);
    // The headers only of the first since it was told: a sample, which costs the others nothing.
    if (use.untoldSince === 0) this.#begin(use, clientOfRequest(headers), now);
    use.requests += 1;
    use.usedAt = now;
  }

  use(appId: string, credential: string, client: string | undefined, count: 0 | 1, now: number): void {
    const use = this.#of(appId, credential);
    if (use.untoldSince === 0) this.#begin(use, client === undefined ? undefined : clientName(client), now);
    use.requests += count;
    use.usedAt = now;
  }

  take(now: number, all: boolean): TakenFacts {
    this.#beforeTaking(this, now);
    const taken: CredentialUseFact[] = [];
    let until = now;
    let more = false;
    for (const [appId, credentials] of this.#apps) {
      for (const [credential, use] of credentials) {
        if (use.untoldSince === 0) {
          if (now - use.toldAt > this.#toldAgainMs) credentials.delete(credential);
          continue;
        }
        const sinceTold = now - use.toldAt;
        // Negative after the clock was set back.
        const early = !all && use.toldAt !== 0 && sinceTold >= 0 && sinceTold < this.#toldAgainMs;
        if (early || taken.length === MOST_USES) {
          more ||= !early;
          until = Math.min(until, use.untoldSince);
          continue;
        }
        taken.push({ appId, credential, at: use.usedAt, requests: use.requests, client: use.client });
        use.requests = 0;
        use.untoldSince = 0;
        use.toldAt = now;
      }
      if (credentials.size === 0) this.#apps.delete(appId);
    }
    return { facts: taken.length === 0 ? {} : { credentialUses: taken }, until, more };
  }

  #begin(use: Use, client: string | undefined, now: number): void {
    use.untoldSince = now;
    use.client = client ?? use.client;
  }

  #of(appId: string, credential: string): Use {
    return this.#apps.get(appId)?.get(credential) ?? this.#add(appId, credential);
  }

  #add(appId: string, credential: string): Use {
    const use = { requests: 0, usedAt: 0, client: null, untoldSince: 0, toldAt: 0 };
    const credentials = this.#apps.get(appId);
    if (credentials === undefined) this.#apps.set(appId, new Map([[credential, use]]));
    else credentials.set(credential, use);
    return use;
  }
}
