import type { Token } from './directory.ts';
import { acceptedUntil, isAccepted } from './token-end.ts';

/** The tokens by everything that they are looked up by. */
export class TokenIndex {
  readonly #byHash = new Map<string, Token>();
  /** By app and public part. */
  readonly #byId = new Map<string, Token>();
  /** By app and name of the RelayToken that they belong to: the present one, and those that it replaced. */
  readonly #byOwner = new Map<string, readonly Token[]>();
  /** By app: those that end. */
  readonly #ending = new Map<string, Set<Token>>();

  byHash(sha256: string): Token | undefined {
    return this.#byHash.get(sha256);
  }

  /** The name of the RelayToken that a token with this public part belongs to. */
  ownerOf(appId: string, tokenId: string): string | undefined {
    return this.#byId.get(`${appId}/${tokenId}`)?.name;
  }

  /** Whether any token of this RelayToken is let in now. */
  accepts(appId: string, owner: string, now: number): boolean {
    for (const token of this.#byOwner.get(`${appId}/${owner}`) ?? []) if (isAccepted(token, now)) return true;
    return false;
  }

  /** When the next token of an app ends, later than `after`. */
  nextEnd(appId: string, after: number): number {
    let next = Infinity;
    for (const token of this.#ending.get(appId) ?? []) {
      const end = acceptedUntil(token) ?? Infinity;
      if (end > after && end < next) next = end;
    }
    return next;
  }

  /** Returns what was there. */
  set(sha256: string, token: Token | undefined): Token | undefined {
    const old = this.#byHash.get(sha256);
    if (old !== undefined) this.#remove(old);
    if (token !== undefined) this.#add(token);
    return old;
  }

  #add(token: Token): void {
    const { appId, id, name, sha256 } = token;
    this.#byHash.set(sha256, token);
    this.#byId.set(`${appId}/${id}`, token);
    const owner = `${appId}/${name}`;
    this.#byOwner.set(owner, [...(this.#byOwner.get(owner) ?? []), token]);
    if (token.expiresAt === null) return;
    const ending = this.#ending.get(appId);
    if (ending === undefined) this.#ending.set(appId, new Set([token]));
    else ending.add(token);
  }

  #remove(token: Token): void {
    const { appId, id, name, sha256 } = token;
    this.#byHash.delete(sha256);
    if (this.#byId.get(`${appId}/${id}`) === token) this.#byId.delete(`${appId}/${id}`);
    const owner = `${appId}/${name}`;
    const others = (this.#byOwner.get(owner) ?? []).filter((other) => other !== token);
    if (others.length === 0) this.#byOwner.delete(owner);
    else this.#byOwner.set(owner, others);
    const ending = this.#ending.get(appId);
    ending?.delete(token);
    if (ending?.size === 0) this.#ending.delete(appId);
  }
}
