import { randomBytes, randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { FINALIZER } from '#crds/api-group.ts';
import type { RelayApp } from '#crds/relay-app.ts';
import type { RelayToken } from '#crds/relay-token.ts';
import { Secret } from '#crds/keyring.ts';
import { MINT_BYTES, mintToken, tokenHash } from '#crds/token-format.ts';
import type { DirectoryView } from '#operator/directory/enforcement.ts';
import type { Enforcement } from '#operator/directory/enforcement-watch.ts';
import { TransientError } from '#operator/engine/errors.ts';
import type { Outcome } from '#operator/engine/outcome.ts';
import type { Announcement, Announcements } from '#operator/notifications/announcement.ts';
import { occasionKey } from '#operator/notifications/occasion.ts';
import type { AnnouncementRegistry } from '#operator/registry/announcement-registry.ts';
import type { CredentialUses } from '#operator/registry/credential-use.ts';
import type { MintToken, RetireToken, TokenRegistry, TokenRow } from '#operator/registry/token-registry.ts';
import { applyTokenStep } from '#operator/relay-token/apply.ts';
import { observeToken } from '#operator/relay-token/observe.ts';
import { planToken } from '#operator/relay-token/plan.ts';
import { PendingKeys } from '#operator/reconcile/pending-keys.ts';
import { createReconcile } from '#operator/reconcile/reconciler.ts';
import type { DesiredSecret, Secrets, StoredSecret } from '#operator/world/secrets.ts';
import { isAccepted } from '#relay/directory/token-end.ts';

const APP_ID = '4801920001';
const URL = 'https://relay.example.com';
const NAME = { namespace: 'shop', name: 'ci' };

/** Every call of a port, by name; may throw instead of it, or after it. */
export type Calls = <T>(name: string, call: () => Promise<T>) => Promise<T>;

/**
 * One RelayToken with all that it depends on in memory: the object, its Secrets, the registry, and two relays of which one follows at once
 * and the other only when it is waited for. What is here survives a crash of the operator; what the operator holds does not.
 */
export class MemoryTokenInstallation {
  now = Date.UTC(2027, 0, 1);
  object: RelayToken = {
    apiVersion: 'relay-operator.dev/v1alpha1',
    kind: 'RelayToken',
    metadata: { ...NAME, uid: 'uid-1', generation: 1, resourceVersion: '1' },
    spec: { appRef: { name: 'checkout' } },
  };
  rows: TokenRow[] = [];
  uses: CredentialUses = { of: () => Promise.resolve(new Map()), knownUntil: () => this.now };
  readonly #secrets = new Map<string, StoredSecret>();
  /** What was announced, by the occasion's key. */
  readonly occasions = new Map<string, Announcement>();
  #revision = 1;
  #version = 1;
  /** What each relay holds, and as of which revision. */
  readonly #relays = [
    { id: 'quick', revision: 1, rows: [] as readonly TokenRow[] },
    { id: 'slow', revision: 1, rows: [] as readonly TokenRow[] },
  ];

  annotate(annotations: Readonly<Record<string, string>>): void {
    this.object = { ...this.object, metadata: { ...this.object.metadata, annotations } };
  }

  secret(name: string): StoredSecret | undefined {
    return this.#secrets.get(name);
  }

  removeSecret(name: string): void {
    this.#secrets.delete(name);
  }

  /** How each relay would answer this token now. */
  accepted(token: string): readonly boolean[] {
    return this.#relays.map(({ rows }) => {
      const row = rows.find(({ sha256, state }) => sha256 === tokenHash(token) && state !== 'Revoked');
      return row !== undefined && row.state !== 'Expired' && isAccepted(row, this.now);
    });
  }

  /** An operator that starts: reconciles once when it is called. */
  operator(calls: Calls): () => Promise<Outcome> {
    const enforcement = this.#enforcement();
    const registry = this.#registry(calls);
    const secrets = this.#secretsPort(calls);
    const tokens = {
      get: () => this.object,
      addFinalizer: () => calls('addFinalizer', async () => this.#edit({ finalizers: [FINALIZER] })),
      removeFinalizer: () => calls('removeFinalizer', async () => this.#edit({ finalizers: [] })),
      writeStatus: (_object: RelayToken, status: NonNullable<RelayToken['status']>) =>
        calls('writeStatus', async () => void (this.object = { ...this.object, status })),
    };
    const apps = { get: () => APP };
    const observing = { apps, tokens, secrets, registry, enforcement, uses: this.uses, relayUrl: URL };
    const sinks = { tokens, secrets, registry, recorder: { event: () => {} }, relayUrl: URL };
    const reconcile = createReconcile(
      {
        observe: (ref) => observeToken({ ...observing, now: () => this.now }, ref),
        plan: planToken,
        apply: (object, step) => applyTokenStep(sinks, object, step),
        writeStatus: tokens.writeStatus,
      },
      enforcement,
      new PendingKeys(enforcement),
    );
    return () => reconcile('shop/ci', CONTEXT);
  }

  #edit(change: Partial<RelayToken['metadata']>): void {
    this.object = { ...this.object, metadata: { ...this.object.metadata, ...change } };
  }

  #enforcement(): Enforcement {
    const view = (): DirectoryView => ({
      head: { epoch: 1, revision: this.#revision },
      members: this.#relays.map(({ id, revision }) => ({
        id,
        epoch: 1,
        revision,
        admitted: true,
        rejected: new Set<string>(),
        silent: false,
        lacks: new Set<string>(),
      })),
    });
    return {
      view,
      reached: async () => this.#follow(1),
      onChange: () => () => {},
    };
  }

  #follow(relay: number): void {
    const follower = this.#relays[relay];
    if (follower !== undefined) Object.assign(follower, { revision: this.#revision, rows: this.rows });
  }

  #publish(change: (row: TokenRow) => TokenRow): void {
    const revision = this.#revision + 1;
    this.rows = this.rows.map((row) => {
      const changed = change(row);
      return changed === row ? row : { ...changed, revision, changedAt: this.now };
    });
    this.#revision = revision;
    this.#follow(0);
  }

  #registry(calls: Calls) {
    const retire =
      (tokens: readonly RetireToken[], at: number, revoke: readonly string[]) =>
      (row: TokenRow): TokenRow => {
        const end = tokens.find(({ sha256 }) => sha256 === row.sha256);
        if (end !== undefined && row.state === 'Active') return { ...row, ...end, state: 'Retiring', retiringAt: at };
        return revoke.includes(row.sha256) ? { ...row, state: 'Revoked' } : row;
      };
    const tokenRegistry: TokenRegistry = {
      findTokens: () => calls('findTokens', async () => this.rows.toReversed()),
      mintToken: (subject, mint: MintToken) =>
        calls('mintToken', async () => {
          if (this.rows.some(({ state }) => state === mint.state && mint.state === 'Pending'))
            throw new TransientError('RegistryConflict', 'one is Pending', { quiet: true });
          const { token, id, sha256 } = mintToken(mint.environment, randomBytes(MINT_BYTES));
          this.#publish(retire(mint.retire, mint.at, mint.revoke));
          const { appId, environment, policy, state, expiresAt, rotateRequest } = mint;
          const made = { createdAt: this.now, activatedAt: state === 'Active' ? this.now : null, retiringAt: null };
          const fixed = { sha256, id, objectUid: subject.uid, graceUntil: null, revision: 0, changedAt: 0, ...made };
          this.rows = [...this.rows, { ...fixed, appId, environment, policy, state, expiresAt, rotateRequest }];
          this.#publish((row) => (row.sha256 === sha256 ? { ...row } : row));
          this.#announce(mint.announce);
          return new Secret(token);
        }),
      promoteToken: (_subject, { sha256, at, rotateRequest, retire: tokens, revoke, announce }) =>
        calls('promoteToken', async () => {
          if (!this.rows.some((row) => row.sha256 === sha256 && row.state === 'Pending')) return;
          const others = retire(tokens, at, revoke);
          this.#publish((row) =>
            row.sha256 === sha256 ? { ...row, state: 'Active', activatedAt: at, rotateRequest } : others(row),
          );
          this.#announce(announce);
        }),
      setTokenEnd: (_subject, sha256, { final, announce, ...end }) =>
        calls('setTokenEnd', async () => {
          this.#publish((row) =>
            row.sha256 === sha256
              ? { ...row, ...end, state: final && row.state === 'Retiring' ? 'Ending' : row.state }
              : row,
          );
          this.#announce(announce);
        }),
      expireTokens: (_subject, hashes, announce) =>
        calls('expireTokens', async () => {
          this.#publish((row) => (hashes.includes(row.sha256) ? { ...row, state: 'Expired' } : row));
          this.#announce(announce);
        }),
      recordRotateRequest: () => calls('recordRotateRequest', async () => {}),
      setTokenPolicy: () => calls('setTokenPolicy', async () => {}),
      revokeTokens: (_subject, hashes, _reason, announce) =>
        calls('revokeTokens', async () => {
          this.#publish((row) => (hashes.includes(row.sha256) ? { ...row, state: 'Revoked' } : row));
          this.#announce(announce);
        }),
    };
    const findApp = () => Promise.resolve({ state: 'Active' as const, appId: APP_ID });
    const announcements: AnnouncementRegistry = {
      announced: async (keys) => new Set(keys.filter((key) => this.occasions.has(key))),
      announce: (announcement) => calls('announce', async () => this.#announce([announcement])),
    };
    return { ...tokenRegistry, ...announcements, findApp };
  }

  #announce(announcements: Announcements = []): void {
    for (const announcement of announcements) {
      const key = occasionKey(announcement.occasion);
      if (!this.occasions.has(key)) this.occasions.set(key, announcement);
    }
  }

  #secretsPort(calls: Calls): Secrets {
    const conflict = (name: string): TransientError => new TransientError('conflict', name, { quiet: true });
    const put = ({ namespace, name, type, labels, annotations, owner, data }: DesiredSecret): void => {
      const uid = this.#secrets.get(name)?.uid ?? randomUUID();
      this.#version += 1;
      const resourceVersion = String(this.#version);
      this.#secrets.set(name, { namespace, name, uid, resourceVersion, type, labels, annotations, owner, data });
    };
    const read = async ({ name }: { readonly name: string }) => this.#secrets.get(name);
    return {
      ownedBy: () => [...this.#secrets.values()],
      read,
      readLive: (ref) => calls('readLive', () => read(ref)),
      readReferenced: () => Promise.resolve({ kind: 'absent' }),
      apply: (desired) => calls('applySecret', async () => put(desired)),
      create: (desired) =>
        calls('createSecret', async () => {
          if (this.#secrets.has(desired.name)) throw conflict(desired.name);
          put(desired);
        }),
      replace: (seen, desired) =>
        calls('replaceSecret', async () => {
          if (this.#secrets.get(desired.name)?.resourceVersion !== seen.resourceVersion) throw conflict(desired.name);
          put(desired);
        }),
      delete: ({ name }) => calls('deleteSecret', async () => void this.#secrets.delete(name)),
    };
  }
}

const CONTEXT = { signal: new AbortController().signal, reconcileId: 'r', log: pino({ level: 'silent' }) };

const APP: RelayApp = {
  apiVersion: 'relay-operator.dev/v1alpha1',
  kind: 'RelayApp',
  metadata: { namespace: 'shop', name: 'checkout', uid: 'uid-app', generation: 1 },
  spec: {},
};
