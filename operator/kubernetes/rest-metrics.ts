import { Counter, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import type { KubernetesClientOptions } from './client.ts';

/** client-go's `rest_client_*` metrics; give the result to a KubernetesClient as `onResponse`. */
export function restMetrics(registry: Registry): NonNullable<KubernetesClientOptions['onResponse']> {
  const requests = new Counter({
    name: 'rest_client_requests_total',
    help: 'Requests to the API server; code <error> when there was no answer.',
    labelNames: ['code', 'method', 'host', 'resource'],
    registers: [registry],
  });
  const seconds = new Histogram({
    name: 'rest_client_request_duration_seconds',
    help: 'Time to the first byte of the answer.',
    labelNames: ['verb', 'host'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30],
    registers: [registry],
  });
  return ({ verb, method, host, resource }, code, durationMs) => {
    requests.inc({ code: code === 0 ? '<error>' : String(code), method, host, resource });
    seconds.observe({ verb, host }, durationMs / 1000);
  };
}
