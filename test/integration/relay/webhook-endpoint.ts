import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import Pusher from 'pusher';
import type { WebhookEvent } from '#relay/webhooks/webhook-sink.ts';
import type { Certificate } from '#test/parts/certificate.ts';
import { eventually } from '#test/parts/eventually.ts';

export type ReceivedPost = {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly timeMs: number;
  readonly events: readonly WebhookEvent[];
};

/** Answers the POST; without an answer the sender waits. */
export type Answer = (post: ReceivedPost, response: ServerResponse) => void;

/** Somebody's backend on 127.0.0.1 that webhooks are sent to. */
export class WebhookEndpoint implements AsyncDisposable {
  readonly posts: ReceivedPost[] = [];
  readonly url: string;
  readonly #close: () => Promise<void>;

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url;
    this.#close = close;
  }

  /** @param certificate for HTTPS @param answer default: 200 */
  static async start(
    options: { readonly certificate?: Certificate; readonly answer?: Answer } = {},
  ): Promise<WebhookEndpoint> {
    const { certificate, answer = (_post, response) => void response.end() } = options;
    const server = certificate === undefined ? createHttpServer() : createHttpsServer({ ...certificate });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const endpoint = new WebhookEndpoint(url, async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    });
    server.on('request', (request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      request.on('end', () => {
        const { time_ms: timeMs, events } = JSON.parse(body) as { time_ms: number; events: WebhookEvent[] };
        const post = { path: request.url ?? '', headers: request.headers, body, timeMs, events };
        endpoint.posts.push(post);
        answer(post, response);
      });
    });
    return endpoint;
  }

  /** Everything that was told at this path, in order. */
  events(path = '/'): WebhookEvent[] {
    return this.posts.filter((post) => post.path === path).flatMap(({ events }) => events);
  }

  /** Waits until an event like this was told; resolves to its POST. @param path of the webhook; default: whichever was first */
  told(wanted: Partial<WebhookEvent>, timeout = 15_000, path?: string): Promise<ReceivedPost> {
    const fits = (event: object): boolean =>
      Object.entries(wanted).every(([name, value]) =>
        Object.entries(event).some(([k, v]) => k === name && v === value),
      );
    const posts = (): readonly ReceivedPost[] => this.posts.filter((post) => path === undefined || post.path === path);
    return eventually(() => posts().find(({ events }) => events.some(fits)), {
      timeout,
      describe: `a webhook with ${JSON.stringify(wanted)} among ${JSON.stringify(posts().map(({ events }) => events))}`,
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}

/** What the official SDK makes of it. */
export const readBySdk = (post: ReceivedPost, key: string, secret: string): ReturnType<Pusher['webhook']> =>
  new Pusher({ appId: '1', key, secret, host: '127.0.0.1' }).webhook({ headers: post.headers, rawBody: post.body });
