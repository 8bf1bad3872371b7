import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';

/** What the follower says of itself in `/metrics`. */
export type FollowerMetrics = {
  readonly revision: Gauge;
  readonly epoch: Gauge;
  readonly rejected: Gauge;
  readonly unadmitted: Gauge;
  readonly reloads: Counter<'why'>;
};

/** @param staleSeconds asked at each scrape. */
export function createFollowerMetrics(register: Registry, staleSeconds: () => number): FollowerMetrics {
  const registers = [register];
  const stale: Gauge = new Gauge({
    name: 'relay_directory_stale_seconds',
    help: 'Time since Redis last confirmed that this relay is up to date.',
    aggregator: 'max',
    registers,
    collect: () => {
      stale.set(staleSeconds());
    },
  });
  return {
    revision: new Gauge({
      name: 'relay_directory_revision',
      help: 'Revision of the directory that this relay enforces.',
      aggregator: 'min',
      registers,
    }),
    epoch: new Gauge({
      name: 'relay_directory_epoch',
      help: 'Epoch of the directory that this relay enforces.',
      aggregator: 'min',
      registers,
    }),
    rejected: new Gauge({
      name: 'relay_directory_rejected_entries',
      help: 'Entries that this relay cannot enforce as published.',
      aggregator: 'max',
      registers,
    }),
    unadmitted: new Gauge({
      name: 'relay_directory_unadmitted',
      help: '1 while this relay serves although no operator has admitted it.',
      aggregator: 'max',
      registers,
    }),
    reloads: new Counter({
      name: 'relay_directory_reloads_total',
      help: 'Whole loads of the directory, by why.',
      labelNames: ['why'],
      registers,
    }),
  };
}
