import { Counter, Gauge, type Registry } from 'prom-client';

export type TransportMetrics = {
  readonly handshakeFailures: Counter;
  readonly reloadFailures: Counter;
};

/** @param notAfter epoch milliseconds of the certificate that is served now */
export function transportMetrics(registry: Registry, notAfter: () => number): TransportMetrics {
  const registers = [registry];
  const expiry: Gauge = new Gauge({
    name: 'relay_tls_certificate_not_after_seconds',
    help: 'When the certificate that is served ends, as seconds since 1970.',
    registers,
    aggregator: 'min',
    collect: () => expiry.set(notAfter() / 1000),
  });
  return {
    handshakeFailures: new Counter({
      name: 'relay_tls_handshake_failures_total',
      help: 'TLS handshakes of clients that failed or took too long.',
      registers,
    }),
    reloadFailures: new Counter({
      name: 'relay_tls_reload_failures_total',
      help: 'Times that the mounted certificate could not be taken; the one before is served on.',
      registers,
    }),
  };
}
