import { createServer, type Server } from 'node:http';
import type { RelayMetrics } from './metrics.ts';

/**
 * The port for the platform, never for clients: /metrics (Prometheus), /livez (the process turns), /readyz (send clients here).
 * Not listening yet.
 */
export function createManagementServer(metrics: RelayMetrics, ready: () => boolean): Server {
  return createServer((request, response) => {
    const answer = (status: number, text: string): void => {
      response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
    };
    switch (request.url?.split('?', 1)[0] ?? '') {
      case '/metrics':
        metrics.registry.metrics().then(
          (text) => response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text),
          () => answer(500, 'metrics failed\n'),
        );
        return;
      case '/livez':
        return answer(200, 'ok\n');
      case '/readyz':
        return ready() ? answer(200, 'ok\n') : answer(503, 'not ready\n');
      default:
        return answer(404, 'not found\n');
    }
  });
}
