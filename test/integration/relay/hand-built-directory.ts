import { appOf, type Directory, type DirectoryChange, type Token } from '#relay/directory/directory.ts';
import { DirectoryIndex } from '#relay/directory/directory-index.ts';
import type { AppEntryBody } from '#crds/directory/entry-body.ts';
import { SAMPLE_APP, SAMPLE_TOKEN } from '#test/parts/sample-entries.ts';

export type AppFields = Partial<Omit<AppEntryBody, 'keys' | 'appId'>> & {
  readonly appId?: string;
  /** In the clear: this directory has no keyring. */
  readonly keys?: readonly KeyFields[];
};

type KeyFields = {
  readonly id: string;
  readonly key: string;
  readonly secret: string;
  readonly expiresAt?: number | null;
  readonly pending?: boolean;
};

type CertificateFields = { readonly appId?: string; readonly notAfter?: number | null };

/** A directory filled by hand, for tests of what stands behind it; tests of the whole path use the real follower. */
export class HandBuiltDirectory implements Directory {
  readonly #index = new DirectoryIndex();
  readonly #appliers = new Set<(change: DirectoryChange) => Promise<void>>();
  readonly #watchers = new Set<() => void>();
  isReady = true;
  isFenced = false;

  async setApp(fields: AppFields = {}): Promise<void> {
    const { keys = [{ id: 'k1', key: 'appkey', secret: 'appsecret' }], ...rest } = fields;
    const body: AppEntryBody = {
      ...SAMPLE_APP,
      ...rest,
      keys: keys.map((key) => ({ expiresAt: null, pending: false, ...key })),
    };
    const secrets = new Map(keys.map(({ id, secret }) => [id, secret]));
    this.#index.setApp(body.appId, appOf(body, secrets, 1));
    await this.#applied({ appIds: new Set([body.appId]), tokenHashes: new Set(), tokenApps: new Set() });
  }

  async removeApp(appId: string): Promise<void> {
    this.#index.setApp(appId, undefined);
    await this.#applied({ appIds: new Set([appId]), tokenHashes: new Set(), tokenApps: new Set() });
  }

  async setToken(sha256: string, fields: Partial<Token> = {}): Promise<void> {
    const token: Token = { ...SAMPLE_TOKEN, ...fields, sha256, revision: 1 };
    this.#index.setToken(sha256, token);
    await this.#applied({ appIds: new Set(), tokenHashes: new Set([sha256]), tokenApps: new Set([token.appId]) });
  }

  async removeToken(sha256: string): Promise<void> {
    const { appId = '' } = this.#index.setToken(sha256, undefined) ?? {};
    await this.#applied({ appIds: new Set(), tokenHashes: new Set([sha256]), tokenApps: new Set([appId]) });
  }

  /** Registers a certificate for an app. @param sha256 of its DER, lower-case hex */
  async setCertificate(sha256: string, { appId = '101', notAfter = null }: CertificateFields = {}): Promise<void> {
    this.#index.setCertificate(appId, sha256, { appId, namespace: 'shop', name: 'billing', notAfter, sha256 });
    await this.#applied({ appIds: new Set([appId]), tokenHashes: new Set(), tokenApps: new Set() });
  }

  async removeCertificate(sha256: string, appId = '101'): Promise<void> {
    this.#index.setCertificate(appId, sha256, undefined);
    await this.#applied({ appIds: new Set([appId]), tokenHashes: new Set(), tokenApps: new Set() });
  }

  setState(state: { readonly ready: boolean; readonly fenced: boolean }): void {
    this.isReady = state.ready;
    this.isFenced = state.fenced;
    for (const watcher of this.#watchers) watcher();
  }

  apps(): ReturnType<DirectoryIndex['apps']> {
    return this.#index.apps();
  }
  appById(appId: string): ReturnType<DirectoryIndex['appById']> {
    return this.#index.appById(appId);
  }
  appByKey(key: string): ReturnType<DirectoryIndex['appByKey']> {
    return this.#index.appByKey(key);
  }
  tokenByHash(sha256: string): ReturnType<DirectoryIndex['tokenByHash']> {
    return this.#index.tokenByHash(sha256);
  }
  ownerOfToken(appId: string, tokenId: string): string | undefined {
    return this.#index.ownerOfToken(appId, tokenId);
  }
  acceptsTokenOf(appId: string, owner: string, now: number): boolean {
    return this.#index.acceptsTokenOf(appId, owner, now);
  }
  certificateOf(appId: string, sha256: string): ReturnType<DirectoryIndex['certificateOf']> {
    return this.#index.certificateOf(appId, sha256);
  }
  nextEnd(appId: string, after: number): number | undefined {
    return this.#index.nextEnd(appId, after);
  }
  ready(): boolean {
    return this.isReady;
  }
  fenced(): boolean {
    return this.isFenced;
  }
  position(): { epoch: number; revision: number } {
    return { epoch: 1, revision: 1 };
  }
  onApplied(listener: (change: DirectoryChange) => Promise<void>): () => void {
    this.#appliers.add(listener);
    return () => this.#appliers.delete(listener);
  }
  onStateChange(listener: () => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  async #applied(change: DirectoryChange): Promise<void> {
    for (const applier of this.#appliers) await applier(change);
  }
}
