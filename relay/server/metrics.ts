import { collectDefaultMetrics, Counter, Gauge, type Registry } from 'prom-client';
import type { Reach } from '../bus/bus.ts';
import type { RefusalCode } from '../gate/refusals.ts';
import type { Door } from '../gate/visit.ts';

/** The relay's metrics. Labels are few and closed: never an app, a channel or an address. */
export type RelayMetrics = {
  readonly registry: Registry;
  readonly refused: Counter<'door' | 'code'>;
  /** Plain numbers that a scrape reads: a counter's own `inc` costs as much as finding the subscribers of an event. */
  readonly published: Record<Reach, number>;
  readonly delivered: Counter;
  readonly clientMessages: Counter<'type'>;
  readonly heldBack: Counter;
  readonly degraded: Counter<'part'>;
  readonly forwardingHeadersIgnored: Counter;
  readonly certificateHeadersIgnored: Counter<'reason'>;
  readonly proxyHeadersInvalid: Counter;
};

export type MetricSources = {
  /** Sockets open now. */
  readonly connections: () => number;
  /** 1 when the relay would answer /readyz with 200. */
  readonly ready: () => boolean;
  /** Living replicas, this one included, as far as is known. */
  readonly replicas: () => number;
};

/** @param registry shared with the directory's metrics; one per relay, never prom-client's global one. */
export function relayMetrics(registry: Registry, sources: MetricSources): RelayMetrics {
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  gauge(registry, 'relay_connections', 'Open WebSocket connections.', sources.connections);
  gauge(registry, 'relay_ready', '1 while the relay is ready.', () => (sources.ready() ? 1 : 0), 'min');
  const published: Record<Reach, number> = { everywhere: 0, local: 0 };
  const publishedTotal: Counter<'reach'> = new Counter({
    name: 'relay_events_published_total',
    help: 'Events accepted here; reach="local" means that the bus was away and other replicas may not have got it.',
    labelNames: ['reach'],
    registers,
    collect: () => {
      publishedTotal.reset();
      for (const reach of ['everywhere', 'local'] as const) publishedTotal.inc({ reach }, published[reach]);
    },
  });
  gauge(
    registry,
    'relay_known_replicas',
    'Replicas that share rate limits, as last counted: while Redis is away each enforces its part.',
    sources.replicas,
    'min',
  );
  return {
    registry,
    refused: new Counter({
      name: 'relay_refusals_total',
      help: 'Requests and sockets refused by the gate, or closed by it, by code (docs/errors.md).',
      labelNames: ['door', 'code'],
      registers,
    }),
    published,
    delivered: new Counter({
      name: 'relay_events_delivered_total',
      help: 'Events written to sockets.',
      registers,
    }),
    clientMessages: new Counter({
      name: 'relay_client_messages_total',
      help: 'Messages received from WebSocket clients by type.',
      labelNames: ['type'],
      registers,
    }),
    heldBack: new Counter({
      name: 'relay_sockets_held_back_total',
      help: 'Times that nothing more was read from a WebSocket client for a while, because it sends more messages than its share.',
      registers,
    }),
    degraded: new Counter({
      name: 'relay_degraded_total',
      help: 'Answers given without Redis: subscriptions that are local for now, counts and rate limits of this replica alone.',
      labelNames: ['part'],
      registers,
    }),
    certificateHeadersIgnored: new Counter<'reason'>({
      name: 'relay_client_certificate_headers_ignored_total',
      help: 'Connects, and requests to apps that require client certificates, with a header of CLIENT_CERT_HEADERS that was not believed: made up, or a proxy is not set up.',
      labelNames: ['reason'],
      registers,
    }),
    proxyHeadersInvalid: new Counter({
      name: 'relay_proxy_protocol_errors_total',
      help: 'Connections of TRUSTED_PROXIES that did not begin with a valid PROXY protocol header (PROXY_PROTOCOL) and were cut.',
      registers,
    }),
    forwardingHeadersIgnored: new Counter({
      name: 'relay_forwarding_headers_ignored_total',
      help: 'Requests with X-Forwarded-For or Forwarded from a peer that is not in TRUSTED_PROXIES: made up, or a proxy is not named there.',
      registers,
    }),
  };
}

export function countRefusal(metrics: RelayMetrics, door: Door, code: RefusalCode): void {
  metrics.refused.inc({ door, code });
}

/** @param aggregator how the values of several worker processes become one. */
function gauge(
  registry: Registry,
  name: string,
  help: string,
  read: () => number,
  aggregator: 'sum' | 'min' = 'sum',
): void {
  const metric: Gauge = new Gauge({ name, help, aggregator, registers: [registry], collect: () => metric.set(read()) });
}
