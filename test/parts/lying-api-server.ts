import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';

export type Lie =
  /** Answers by itself, without asking the real one. */
  | {
      readonly kind: 'answer';
      readonly code: number;
      readonly reason?: string;
      readonly headers?: Record<string, string>;
    }
  /** Resets the connection; the real one never hears of it. */
  | { readonly kind: 'drop' }
  /** Passes the request on, and resets the connection instead of passing on the answer. */
  | { readonly kind: 'lose' }
  | { readonly kind: 'delay'; readonly ms: number }
  /** Passes on so many bytes of the answer's body, and then resets the connection. */
  | { readonly kind: 'truncate'; readonly bytes: number }
  /** Passes on so many bytes of the answer's body, and then says nothing more, for ever. */
  | { readonly kind: 'hold'; readonly bytes: number }
  /** In a watch: puts this line before everything else. */
  | { readonly kind: 'inject'; readonly line: string }
  /** In a watch: repeats, after each chunk, everything that came before it. */
  | { readonly kind: 'replay' };

export type LyingRequest = {
  readonly method: string;
  readonly path: string;
  readonly watch: boolean;
  /** Counts all requests, from 1. */
  readonly number: number;
};

export type LyingApiServer = AsyncDisposable & {
  /** A configuration of a client that talks to the liar, with the rights of the real server's administrator. */
  readonly config: KubeConfig;
  /** Requests so far. */
  readonly requests: readonly LyingRequest[];
  /** Lies so far. */
  readonly told: number;
  /** From now on this decides about each request; undefined: the truth. */
  lie(decide: (request: LyingRequest) => Lie | undefined): void;
  /** From now on the truth, on new connections: whatever is open, held ones included, is reset. */
  tellTheTruth(): void;
};

/**
 * A proxy in front of a real API server that does to a client what networks, load balancers and overloaded servers do (operator-traps:
 * "lie to the watch"). It speaks plain HTTP, on loopback only.
 */
export async function startLyingApiServer(kubeconfig: string): Promise<LyingApiServer> {
  const real = new KubeConfig();
  real.loadFromFile(kubeconfig);
  const upstream: https.RequestOptions = {};
  await real.applyToHTTPSOptions(upstream);
  const url = new URL(real.getCurrentCluster()?.server ?? '');
  const { ca, cert, key } = upstream;
  const credentials = Object.fromEntries(Object.entries(upstream.headers ?? {}));
  const agent = new https.Agent({
    keepAlive: true,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  });
  const requests: LyingRequest[] = [];
  let told = 0;
  let decide: (request: LyingRequest) => Lie | undefined = () => undefined;

  const server = http.createServer((incoming, outgoing) => {
    const path = incoming.url ?? '';
    const request = {
      method: incoming.method ?? '',
      path,
      watch: path.includes('watch=true'),
      number: requests.length + 1,
    };
    requests.push(request);
    const lie = decide(request);
    if (lie !== undefined) told += 1;
    void serve(incoming, outgoing, lie);
  });

  async function serve(
    incoming: http.IncomingMessage,
    outgoing: http.ServerResponse,
    lie: Lie | undefined,
  ): Promise<void> {
    if (lie?.kind === 'drop') {
      incoming.socket.resetAndDestroy();
      return;
    }
    if (lie?.kind === 'answer') {
      const { code, reason = 'Lied', headers = {} } = lie;
      const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message: `a lie: ${reason}` };
      incoming.resume();
      outgoing.writeHead(code, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(body));
      return;
    }
    if (lie?.kind === 'delay') await delay(lie.ms);
    const request = https.request({
      agent,
      host: url.hostname,
      port: url.port,
      method: incoming.method,
      path: incoming.url,
      headers: { ...incoming.headers, ...credentials, host: url.host },
    });
    outgoing.on('close', () => request.destroy());
    request.on('error', () => incoming.socket.destroy());
    request.on('response', (answer) => pass(answer, incoming, outgoing, lie));
    incoming.pipe(request);
  }

  function pass(
    answer: http.IncomingMessage,
    incoming: http.IncomingMessage,
    outgoing: http.ServerResponse,
    lie: Lie | undefined,
  ): void {
    answer.on('error', () => incoming.socket.destroy());
    if (lie?.kind === 'lose') {
      answer.on('end', () => incoming.socket.resetAndDestroy()).resume();
      return;
    }
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    outgoing.flushHeaders();
    if (lie?.kind === 'inject') outgoing.write(`${lie.line}\n`);
    if (lie?.kind === 'truncate' || lie?.kind === 'hold') {
      let left = lie.bytes;
      answer.on('data', (chunk: Buffer) => {
        if (left > 0) outgoing.write(chunk.subarray(0, left));
        left -= chunk.length;
        // The reset must not overtake the bytes before it.
        if (left <= 0 && lie.kind === 'truncate') setImmediate(() => incoming.socket.resetAndDestroy());
      });
      return;
    }
    if (lie?.kind === 'replay') {
      const before: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => {
        before.push(chunk);
        // Only whole lines are repeated; half a line would be another lie.
        outgoing.write(chunk);
        if (chunk.at(-1) === 0x0a) for (const old of before) outgoing.write(old);
      });
      answer.on('end', () => outgoing.end());
      return;
    }
    answer.pipe(outgoing);
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the liar has no port');
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'liar', server: `http://127.0.0.1:${address.port}`, skipTLSVerify: true },
    { name: 'anybody' },
  );
  return {
    config,
    requests,
    get told() {
      return told;
    },
    lie: (next) => {
      decide = next;
    },
    tellTheTruth: () => {
      decide = () => undefined;
      server.closeAllConnections();
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      agent.destroy();
    },
  };
}
