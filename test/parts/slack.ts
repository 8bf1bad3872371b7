import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export type ReceivedPost = {
  readonly path: string;
  readonly id: string;
  readonly type: string;
  readonly body: unknown;
};

export type WebhookBehaviour =
  | { readonly kind: 'answer'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly kind: 'hang' }
  | { readonly kind: 'close' };

export type SlackServer = AsyncDisposable & {
  readonly url: string;
  /** What was answered with 2xx. */
  readonly taken: readonly ReceivedPost[];
  /** Every path that was asked for. */
  readonly paths: readonly string[];
  behave(behaviour: WebhookBehaviour): void;
};

/** A real HTTP server in the place of Slack. */
export async function startSlackServer(): Promise<SlackServer> {
  const taken: ReceivedPost[] = [];
  const paths: string[] = [];
  let behaviour: WebhookBehaviour = { kind: 'answer', status: 200 };
  const server = createServer((request, response) => {
    void (async () => {
      const body = await text(request);
      const path = request.url ?? '';
      paths.push(path);
      if (behaviour.kind === 'hang') return;
      if (behaviour.kind === 'close') {
        request.socket.destroy();
        return;
      }
      if (behaviour.status < 300)
        taken.push({
          path,
          id: String(request.headers['x-relay-notification-id']),
          type: String(request.headers['content-type']),
          body: JSON.parse(body) as unknown,
        });
      response.writeHead(behaviour.status, behaviour.headers).end('ok');
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/services/T0/B0/hunter2`,
    taken,
    paths,
    behave: (next) => void (behaviour = next),
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
