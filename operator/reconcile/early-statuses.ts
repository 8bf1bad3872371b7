import { Counter, type Registry } from 'prom-client';

/** How often a status could not wait for the relays (reconciler.ts), in `/metrics`: each costs an API write and a reconcile more. */
export class EarlyStatuses {
  readonly #count: Counter<'kind'>;

  constructor(register: Registry) {
    this.#count = new Counter({
      name: 'relay_operator_early_statuses_total',
      help: 'Statuses written before every relay had acknowledged what they tell, by kind. Each is written again when all have.',
      labelNames: ['kind'],
      registers: [register],
    });
  }

  written(kind: string): void {
    this.#count.inc({ kind });
  }
}
