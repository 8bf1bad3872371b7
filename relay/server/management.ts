import { createServer, type Server } from 'node:http';

/** Where the answers come from: the relay in this process, or the supervisor of several workers. */
export type ManagementSources = {
  /** Send clients here. */
  readonly ready: () => Promise<boolean>;
  /** false: end the process and start another. */
  readonly alive: () => Promise<boolean>;
  /** Prometheus' text format. */
  readonly metrics: () => Promise<string>;
  readonly contentType: string;
};

/** The port for the platform, never for clients: /metrics (Prometheus), /livez (the process turns), /readyz. Not listening yet. */
export function createManagementServer(sources: ManagementSources): Server {
  return createServer((request, response) => {
    const say = (status: number, text: string, type = 'text/plain; charset=utf-8'): void => {
      response.writeHead(status, { 'content-type': type }).end(text);
    };
    const sayWhether = (answer: Promise<boolean>, no: string): void => {
      answer.then(
        (yes) => (yes ? say(200, 'ok\n') : say(503, no)),
        () => say(500, 'failed\n'),
      );
    };
    switch (request.url?.split('?', 1)[0] ?? '') {
      case '/metrics':
        sources.metrics().then(
          (text) => say(200, text, sources.contentType),
          () => say(500, 'metrics failed\n'),
        );
        return;
      case '/livez':
        return sayWhether(sources.alive(), 'not alive\n');
      case '/readyz':
        return sayWhether(sources.ready(), 'not ready\n');
      default:
        return say(404, 'not found\n');
    }
  });
}
