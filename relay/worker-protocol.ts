import { z } from 'zod';
import type { MetricObjectWithValues, MetricValue } from 'prom-client';

/** What the supervisor of several worker processes asks a worker, and what that answers, over the channel that `node:cluster` opens. */
export const question = z.object({ ask: z.enum(['ready', 'metrics']), id: z.number() });
export type Question = z.output<typeof question>;

/** As `Registry.getMetricsAsJSON` of prom-client gives them; made and read by the same build, so looked at no closer. */
export type WorkerMetrics = readonly MetricObjectWithValues<MetricValue<string>>[];

export const answer = z.object({
  answer: z.number(),
  ready: z.boolean().optional(),
  metrics: z.custom<WorkerMetrics>(Array.isArray).optional(),
});
export type Answer = z.output<typeof answer>;
