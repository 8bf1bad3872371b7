import { isDeepStrictEqual } from 'node:util';
import { TransientError } from '../engine/errors.ts';
import type { CertManager, DesiredCertificate, StoredCertificate, Trouble } from '../world/cert-manager.ts';
import { keyOf, type ObjectKey, type ObjectRef } from '../world/object-ref.ts';
import type { CertManagerEvents } from './kubernetes-cert-manager.ts';

/** The twin of cert-manager in a cluster: what it would say is said by who holds it. Times come from `now` (epoch ms). */
export class MemoryCertManager implements CertManager {
  readonly #now: () => number;
  readonly #certificates = new Map<ObjectKey, StoredCertificate>();
  readonly #subscribers = new Set<CertManagerEvents>();
  #installed = false;
  #uids = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  state(): ReturnType<CertManager['state']> {
    return this.#installed ? { kind: 'ready' } : { kind: 'missing', message: 'cert-manager is not installed' };
  }

  find(ref: ObjectRef): StoredCertificate | undefined {
    const found = this.#certificates.get(keyOf(ref));
    return this.#installed && found?.ownerUid !== undefined ? found : undefined;
  }

  look(ref: ObjectRef): Promise<StoredCertificate | undefined> {
    return Promise.resolve(this.#installed ? this.#certificates.get(keyOf(ref)) : undefined);
  }

  async apply({ namespace, name, ownerUid, issue }: DesiredCertificate): Promise<void> {
    this.#mustBeInstalled();
    const held = this.#certificates.get(keyOf({ namespace, name }));
    if (held !== undefined && held.ownerUid !== ownerUid) throw conflict(name);
    if (held !== undefined && isDeepStrictEqual(held.issue, issue)) return;
    this.#put({ ...(held ?? this.#fresh({ namespace, name })), ownerUid, issue, ready: false });
  }

  async delete({ namespace, name, uid }: Pick<StoredCertificate, 'namespace' | 'name' | 'uid'>): Promise<void> {
    this.#mustBeInstalled();
    const held = this.#certificates.get(keyOf({ namespace, name }));
    if (held === undefined) return;
    if (held.uid !== uid) throw conflict(name);
    this.#certificates.delete(keyOf(held));
    this.#tell(held);
  }

  subscribe(events: CertManagerEvents): () => void {
    this.#subscribers.add(events);
    return () => void this.#subscribers.delete(events);
  }

  install(): void {
    this.#installed = true;
    for (const { stateChanged } of this.#subscribers) stateChanged();
  }

  /** As when its CRDs are deleted: every Certificate goes with them. */
  uninstall(): void {
    this.#installed = false;
    this.#certificates.clear();
    for (const { stateChanged } of this.#subscribers) stateChanged();
  }

  /** A Certificate that somebody else made. */
  putForeign(ref: ObjectRef): void {
    this.#put(this.#fresh(ref));
  }

  /** What cert-manager makes of one. */
  report(
    ref: ObjectRef,
    said: { readonly ready: boolean; readonly notAfter: number | null; readonly trouble: Trouble | null },
  ): void {
    const held = this.#certificates.get(keyOf(ref));
    if (held !== undefined) this.#put({ ...held, ...said });
  }

  #fresh({ namespace, name }: ObjectRef): StoredCertificate {
    this.#uids += 1;
    return {
      namespace,
      name,
      uid: `certificate-${this.#uids}`,
      ownerUid: undefined,
      createdAt: this.#now(),
      issue: undefined,
      ready: false,
      notAfter: null,
      trouble: null,
    };
  }

  #put(certificate: StoredCertificate): void {
    this.#certificates.set(keyOf(certificate), certificate);
    this.#tell(certificate);
  }

  #tell({ namespace, name, ownerUid }: StoredCertificate): void {
    if (ownerUid !== undefined) for (const { changed } of this.#subscribers) changed({ namespace, name });
  }

  #mustBeInstalled(): void {
    if (!this.#installed) throw new TransientError('CertManagerNotInstalled', 'cert-manager is gone', { quiet: true });
  }
}

function conflict(name: string): TransientError {
  return new TransientError('conflict', `Certificate ${name} belongs to somebody else`, { quiet: true });
}
