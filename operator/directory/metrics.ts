import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';

/** What the publisher says of itself in `/metrics`. */
export type PublisherMetrics = {
  readonly revision: Gauge;
  readonly epoch: Gauge;
  readonly replicas: Gauge<'state'>;
  readonly publishSeconds: Histogram;
  readonly enforcedSeconds: Histogram<'change'>;
  readonly rebuilds: Counter;
  readonly errors: Counter<'step'>;
};

export function createPublisherMetrics(register: Registry): PublisherMetrics {
  const registers = [register];
  return {
    revision: new Gauge({
      name: 'relay_operator_directory_revision',
      help: 'Newest revision of the directory that is published.',
      registers,
    }),
    epoch: new Gauge({ name: 'relay_operator_directory_epoch', help: 'Epoch of the directory.', registers }),
    replicas: new Gauge({
      name: 'relay_operator_directory_replicas',
      help: 'Relay processes that count for Enforced, by state: agreeing, behind, silent.',
      labelNames: ['state'],
      registers,
    }),
    publishSeconds: new Histogram({
      name: 'relay_operator_directory_publish_seconds',
      help: 'Time from waking up to the newest revision being in Redis.',
      buckets: [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 15],
      registers,
    }),
    enforcedSeconds: new Histogram({
      name: 'relay_operator_directory_enforced_seconds',
      help: 'Time from the commit of a change until every relay has acknowledged it, by change: removal (of a revoked credential, say), other.',
      labelNames: ['change'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
      registers,
    }),
    rebuilds: new Counter({
      name: 'relay_operator_directory_rebuilds_total',
      help: 'New epochs: Redis was empty, incomplete or from another time.',
      registers,
    }),
    errors: new Counter({
      name: 'relay_operator_directory_errors_total',
      help: 'Steps that failed and are repeated, by step.',
      labelNames: ['step'],
      registers,
    }),
  };
}
