import { Counter, type Registry } from 'prom-client';

/** Labels are few and closed: never an app, a channel or a place. */
export type ScreeningMetrics = { readonly found: Counter<'detector' | 'mode'> };

export function screeningMetrics(registry: Registry): ScreeningMetrics {
  return {
    found: new Counter({
      name: 'relay_secrets_found_total',
      help: 'What secret scanning found in payloads, by detector and by what was done about it (docs/secret-scanning.md).',
      labelNames: ['detector', 'mode'],
      registers: [registry],
    }),
  };
}
