import { Counter, type Registry } from 'prom-client';

/** What is told to the operator. */
export type FactMetrics = { readonly reports: Counter<'outcome'> };

export function factMetrics(registry: Registry): FactMetrics {
  return {
    reports: new Counter({
      name: 'relay_fact_reports_total',
      help: 'Reports to the operator of what happened here, by outcome: told, or kept because Redis is away or nobody reads them.',
      labelNames: ['outcome'],
      registers: [registry],
    }),
  };
}
