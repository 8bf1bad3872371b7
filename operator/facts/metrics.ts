import { Counter, Gauge, type Registry } from 'prom-client';
import type { ReportFault } from '#crds/facts/report.ts';

/** What the reader of facts says of itself in `/metrics`. */
export type FactReaderMetrics = {
  readonly reports: Counter<'outcome'>;
  readonly gaps: Counter<'reason'>;
};

export type ReportOutcome = 'new' | 'empty' | 'repeated' | ReportFault;

/** @param lagSeconds how old the newest complete knowledge of what relays had to tell is; asked at each scrape. */
export function createFactReaderMetrics(register: Registry, lagSeconds: () => number): FactReaderMetrics {
  const registers = [register];
  const lag: Gauge = new Gauge({
    name: 'relay_operator_facts_lag_seconds',
    help: 'Age of the newest moment up to which every relay has told what happened; +Inf: not known, so that replaced credentials live until their deadline.',
    registers,
    collect: () => {
      lag.set(lagSeconds());
    },
  });
  return {
    reports: new Counter({
      name: 'relay_operator_fact_reports_total',
      help: 'Reports of relays that were read, by outcome: new, empty, repeated, or why one was refused (malformed, unknown_key, not_authentic).',
      labelNames: ['outcome'],
      registers,
    }),
    gaps: new Counter({
      name: 'relay_operator_fact_gaps_total',
      help: 'Times that something which relays had to tell may be lost, by reason: missing, died, silent. Nothing counts as unused for a day then.',
      labelNames: ['reason'],
      registers,
    }),
  };
}
