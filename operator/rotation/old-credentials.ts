import { Gauge, type Registry } from 'prom-client';
import { keyOf, type ObjectRef } from '../world/object-ref.ts';
import type { OldInUse } from './old-credential.ts';

/** Of more, the metric says only how many there are: what a scrape costs must not grow with the tenants. */
const MOST_NAMED = 500;

type Labels = {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly credential: string;
  readonly client: string;
};

/** The replaced credentials that are used beyond their overlap, in `/metrics`: how many, and which, how often and by whom. */
export class OldCredentials {
  /** By kind and object. */
  readonly #held = new Map<string, readonly OldInUse[]>();
  /** The series there are, by kind and object. */
  readonly #named = new Map<string, readonly Labels[]>();
  readonly #count: Gauge<'kind'>;
  readonly #requests: Gauge<keyof Labels>;

  constructor(register: Registry) {
    this.#count = new Gauge({
      name: 'relay_operator_old_credentials_in_use',
      help: 'Credentials that were replaced and are still used after their overlap, by kind of the object.',
      labelNames: ['kind'],
      registers: [register],
    });
    this.#requests = new Gauge({
      name: 'relay_operator_old_credential_requests',
      help: `Requests with each of them so far, and the client that used it last; of ${MOST_NAMED} at the most.`,
      labelNames: ['kind', 'namespace', 'name', 'credential', 'client'],
      registers: [register],
    });
  }

  /** @param old of this object, all there are now */
  set(kind: string, { namespace, name }: ObjectRef, old: readonly OldInUse[]): void {
    const id = `${kind} ${keyOf({ namespace, name })}`;
    if (old.length === 0 && !this.#held.has(id)) return;
    for (const labels of this.#named.get(id) ?? []) this.#requests.remove(labels);
    this.#named.delete(id);
    if (old.length === 0) this.#held.delete(id);
    else this.#held.set(id, old);
    const ofKind = [...this.#held].filter(([of]) => of.startsWith(`${kind} `));
    this.#count.set(
      { kind },
      ofKind.reduce((sum, [, each]) => sum + each.length, 0),
    );
    const series = [...this.#named.values()].reduce((sum, each) => sum + each.length, 0);
    const named = old.slice(0, Math.max(0, MOST_NAMED - series)).map(({ credential, requests, client }) => {
      const labels = { kind, namespace, name, credential, client: client ?? '' };
      this.#requests.set(labels, requests);
      return labels;
    });
    if (named.length > 0) this.#named.set(id, named);
  }

  /** Another process leads, and says so. */
  clear(): void {
    this.#held.clear();
    this.#named.clear();
    this.#count.reset();
    this.#requests.reset();
  }
}
