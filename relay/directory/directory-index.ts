import type { App, ClientCertificate, Token } from './directory.ts';
import { TokenIndex } from './token-index.ts';

/** The lookups. One owner changes it (the follower), everyone else reads. */
export class DirectoryIndex {
  readonly #apps = new Map<string, App>();
  readonly #appsByKey = new Map<string, App>();
  readonly #tokens = new TokenIndex();
  /** By app, then by fingerprint: the same certificate may be registered for several. */
  readonly #certificates = new Map<string, Map<string, ClientCertificate>>();

  apps(): Iterable<App> {
    return this.#apps.values();
  }
  appById(appId: string): App | undefined {
    return this.#apps.get(appId);
  }
  appByKey(key: string): App | undefined {
    return this.#appsByKey.get(key);
  }
  tokenByHash(sha256: string): Token | undefined {
    return this.#tokens.byHash(sha256);
  }
  ownerOfToken(appId: string, tokenId: string): string | undefined {
    return this.#tokens.ownerOf(appId, tokenId);
  }
  acceptsTokenOf(appId: string, owner: string, now: number): boolean {
    return this.#tokens.accepts(appId, owner, now);
  }
  certificateOf(appId: string, sha256: string): ClientCertificate | undefined {
    return this.#certificates.get(appId)?.get(sha256);
  }
  nextEnd(appId: string, after: number): number | undefined {
    let next = this.#tokens.nextEnd(appId, after);
    for (const { notAfter } of this.#certificates.get(appId)?.values() ?? []) {
      if (notAfter !== null && notAfter > after && notAfter < next) next = notAfter;
    }
    for (const { expiresAt } of this.#apps.get(appId)?.keys ?? []) {
      if (expiresAt !== null && expiresAt > after && expiresAt < next) next = expiresAt;
    }
    return next === Infinity ? undefined : next;
  }

  setApp(appId: string, app: App | undefined): void {
    const old = this.#apps.get(appId);
    for (const { key } of old?.keys ?? []) if (this.#appsByKey.get(key) === old) this.#appsByKey.delete(key);
    if (app === undefined) {
      this.#apps.delete(appId);
      return;
    }
    this.#apps.set(appId, app);
    for (const { key } of app.keys) this.#appsByKey.set(key, app);
  }

  /** Returns what was there. */
  setToken(sha256: string, token: Token | undefined): Token | undefined {
    return this.#tokens.set(sha256, token);
  }

  setCertificate(appId: string, sha256: string, certificate: ClientCertificate | undefined): void {
    const held = this.#certificates.get(appId);
    if (certificate !== undefined) {
      if (held === undefined) this.#certificates.set(appId, new Map([[sha256, certificate]]));
      else held.set(sha256, certificate);
    } else if (held?.delete(sha256) === true && held.size === 0) this.#certificates.delete(appId);
  }
}
