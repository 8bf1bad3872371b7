import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';

export type Delivery = {
  readonly path: string;
  /** On the monotonic clock. */
  readonly at: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
};

/** What a customer runs to receive webhooks: keeps every POST as it came, answers 200. */
export type WebhookReceiver = AsyncDisposable & {
  readonly url: string;
  readonly deliveries: readonly Delivery[];
  /** Events of all deliveries so far, in order of arrival; only those to URLs that end so. */
  events(pathEnd?: string): Record<string, unknown>[];
  /** The same as lines for a person, with milliseconds since `since`. */
  timed(pathEnd: string, since: number): string[];
};

export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const deliveries: Delivery[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      deliveries.push({
        path: request.url ?? '',
        at: performance.now(),
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      });
      response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the receiver has no port');
  return {
    url: `http://127.0.0.1:${address.port}/webhooks`,
    deliveries,
    events: (pathEnd = '') =>
      deliveries
        .filter(({ path }) => path.endsWith(pathEnd))
        .flatMap(({ body }) => (JSON.parse(body) as { readonly events: Record<string, unknown>[] }).events),
    timed: (pathEnd, since) =>
      deliveries
        .filter(({ path }) => path.endsWith(pathEnd))
        .map(({ at, body }) => `${(at - since).toFixed(0)} told ${body}`),
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
