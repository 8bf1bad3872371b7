import { Gauge, type Registry } from 'prom-client';

/**
 * How many replaced credentials are used beyond their overlap, in `/metrics`. Who they are stands in the conditions of their objects: a
 * metric by object would grow with the tenants.
 */
export class OldCredentials {
  readonly #counts = new Map<string, number>();
  readonly #gauge: Gauge<'kind'>;

  constructor(register: Registry) {
    this.#gauge = new Gauge({
      name: 'relay_operator_old_credentials_in_use',
      help: 'Credentials that were replaced and are still used after their overlap, by kind of the object.',
      labelNames: ['kind'],
      registers: [register],
    });
  }

  /** @param key of the object */
  set(kind: string, key: string, count: number): void {
    const id = `${kind} ${key}`;
    if (count === (this.#counts.get(id) ?? 0)) return;
    if (count === 0) this.#counts.delete(id);
    else this.#counts.set(id, count);
    const ofKind = [...this.#counts].filter(([of]) => of.startsWith(`${kind} `));
    this.#gauge.set(
      { kind },
      ofKind.reduce((sum, [, each]) => sum + each, 0),
    );
  }

  /** Another process leads, and says so. */
  clear(): void {
    this.#counts.clear();
    this.#gauge.reset();
  }
}
