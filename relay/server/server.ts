import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { Transport } from '../transport/transport.ts';
import type { Upgrade } from './upgrade.ts';

export type Listening = AsyncDisposable & { readonly host: string; readonly port: number };

/** Requests that are under way when the server closes have this long; half a request would otherwise keep it open for ever. */
const FINISH_MS = 2_000;

export type ClientServer = {
  readonly app: FastifyInstance;
  readonly upgrade: Upgrade;
  readonly transport: Transport;
};

/** Opens the port for clients: HTTP and, on the same port, WebSocket upgrades. Disposing closes the transport too. */
export async function listen(
  { app, upgrade, transport }: ClientServer,
  host: string,
  port: number,
): Promise<Listening> {
  app.server.on('upgrade', upgrade.handle);
  await app.listen({ host, port });
  return {
    host,
    port: portOf(app.server),
    [Symbol.asyncDispose]: async () => {
      const cut = setTimeout(() => {
        app.server.closeAllConnections();
        void transport[Symbol.asyncDispose]();
      }, FINISH_MS);
      await app.close();
      clearTimeout(cut);
      await transport[Symbol.asyncDispose]();
    },
  };
}

/** Opens the management port. */
export async function listenManagement(server: Server, host: string, port: number): Promise<Listening> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, host, resolve);
  await promise;
  server.off('error', reject);
  return {
    host,
    port: portOf(server),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function portOf(server: Server): number {
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server listens on no TCP port');
  return address.port;
}
