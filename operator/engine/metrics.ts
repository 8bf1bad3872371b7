import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import type { Outcome } from './outcome.ts';
import type { WorkQueue, WorkQueueObserver } from './workqueue.ts';

/** controller-runtime's buckets (pkg/internal/controller/metrics), shortened. */
const RECONCILE_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 0.75, 1, 2.5, 5, 10, 20, 30, 60];
/** controller-runtime's buckets (pkg/metrics/workqueue.go): 10⁻⁸ to 10³. */
const QUEUE_SECONDS = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000];

export type ControllerObserver = {
  readonly queue: WorkQueueObserver;
  /** Tells the gauges where to read what grows by itself. */
  watch(queue: WorkQueue): void;
  workers(active: number, most: number): void;
  reconciled(result: 'success' | 'requeue' | 'requeue_after' | 'error', seconds: number): void;
  failed(kind: Extract<Outcome['kind'], 'retry' | 'terminal'>): void;
};

/** The metrics of every controller of a process, under the names that controller-runtime's dashboards expect. */
export class ControllerMetrics {
  readonly #queues = new Map<string, WorkQueue>();
  readonly #reconciles: Counter<'controller' | 'result'>;
  readonly #errors: Counter<'controller'>;
  readonly #terminal: Counter<'controller'>;
  readonly #seconds: Histogram<'controller'>;
  readonly #active: Gauge<'controller'>;
  readonly #most: Gauge<'controller'>;
  readonly #depth: Gauge<'name' | 'controller'>;
  readonly #adds: Counter<'name' | 'controller'>;
  readonly #retries: Counter<'name' | 'controller'>;
  readonly #waited: Histogram<'name' | 'controller'>;
  readonly #worked: Histogram<'name' | 'controller'>;

  constructor(registry: Registry) {
    const registers = [registry];
    const controller = ['controller'] as const;
    const queue = ['name', 'controller'] as const;
    const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> =>
      new Counter({ name, help, labelNames, registers });
    const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> =>
      new Gauge({ name, help, labelNames, registers });
    const histogram = <L extends string>(
      name: string,
      help: string,
      labelNames: readonly L[],
      buckets: number[],
    ): Histogram<L> => new Histogram({ name, help, labelNames, buckets, registers });

    this.#reconciles = counter('controller_runtime_reconcile_total', 'Reconciliations, by result.', [
      'controller',
      'result',
    ]);
    this.#errors = counter('controller_runtime_reconcile_errors_total', 'Failed reconciliations.', controller);
    this.#terminal = counter(
      'controller_runtime_terminal_reconcile_errors_total',
      'Reconciliations that failed and are not tried again until the object changes.',
      controller,
    );
    this.#seconds = histogram(
      'controller_runtime_reconcile_time_seconds',
      'Duration of a reconciliation.',
      controller,
      RECONCILE_SECONDS,
    );
    this.#active = gauge('controller_runtime_active_workers', 'Workers that are reconciling now.', controller);
    this.#most = gauge('controller_runtime_max_concurrent_reconciles', 'Workers of this controller.', controller);
    this.#depth = gauge('workqueue_depth', 'Keys waiting to be taken up.', queue);
    this.#adds = counter('workqueue_adds_total', 'Keys added.', queue);
    this.#retries = counter('workqueue_retries_total', 'Keys added again after a failure.', queue);
    this.#waited = histogram('workqueue_queue_duration_seconds', 'Wait of a key for a worker.', queue, QUEUE_SECONDS);
    this.#worked = histogram('workqueue_work_duration_seconds', 'Work on a key.', queue, QUEUE_SECONDS);
    this.#collected(registry, 'workqueue_unfinished_work_seconds', 'Sum of the work in progress.', (running) =>
      running.reduce((sum, seconds) => sum + seconds, 0),
    );
    this.#collected(registry, 'workqueue_longest_running_processor_seconds', 'Longest work in progress.', (running) =>
      Math.max(0, ...running),
    );
  }

  /** The part of one controller, with its labels filled in. */
  observer(controller: string): ControllerObserver {
    const own = { controller };
    const named = { name: controller, controller };
    return {
      queue: {
        added: () => this.#adds.inc(named),
        depth: (depth) => this.#depth.set(named, depth),
        retried: () => this.#retries.inc(named),
        waited: (seconds) => this.#waited.observe(named, seconds),
        worked: (seconds) => this.#worked.observe(named, seconds),
      },
      watch: (queue) => void this.#queues.set(controller, queue),
      workers: (active, most) => {
        this.#active.set(own, active);
        this.#most.set(own, most);
      },
      reconciled: (result, seconds) => {
        this.#reconciles.inc({ controller, result });
        this.#seconds.observe(own, seconds);
      },
      failed: (kind) => {
        this.#errors.inc(own);
        if (kind === 'terminal') this.#terminal.inc(own);
      },
    };
  }

  #collected(registry: Registry, name: string, help: string, value: (running: number[]) => number): void {
    const queues = this.#queues;
    registry.registerMetric(
      new Gauge({
        name,
        help,
        labelNames: ['name', 'controller'],
        registers: [],
        collect() {
          for (const [controller, queue] of queues) this.set({ name: controller, controller }, value(queue.running()));
        },
      }),
    );
  }
}
