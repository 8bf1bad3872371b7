import { createConnection, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { once } from 'node:events';

export type TcpProxyOptions = {
  readonly host?: string;
  readonly port: number;
};

/** A proxy on 127.0.0.1 that plays the network between a client and a server. */
export type TcpProxy = AsyncDisposable & {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** Connections open right now. */
  readonly connections: number;
  /** Forwards everything (the initial state); what was held back goes on its way. */
  pass(): void;
  /** A partition: connections stay open, new ones are accepted, and no byte is forwarded. */
  hold(): void;
  /** Resets every open connection. New ones are treated as before. */
  drop(): void;
  /** Resets every open connection and every new one. */
  refuse(): void;
};

/** Starts a proxy in front of `target` (host 127.0.0.1 by default), which need not run yet. */
export async function startTcpProxy({ host = '127.0.0.1', port }: TcpProxyOptions): Promise<TcpProxy> {
  type Pair = { readonly client: Socket; readonly server: Socket };
  const pairs = new Set<Pair>();
  let mode: 'pass' | 'hold' | 'refuse' = 'pass';

  const join = ({ client, server }: Pair): void => {
    if (client.destroyed || server.destroyed) {
      client.destroy();
      server.destroy();
      return;
    }
    client.pipe(server);
    server.pipe(client);
  };
  const part = ({ client, server }: Pair): void => {
    for (const socket of [client, server]) socket.unpipe().pause();
  };
  const reset = (pair: Pair): void => {
    pairs.delete(pair);
    pair.client.resetAndDestroy();
    pair.server.resetAndDestroy();
  };

  const listener = createServer({ allowHalfOpen: true }, (client) => {
    if (mode === 'refuse') {
      client.resetAndDestroy();
      return;
    }
    const server = createConnection({ host, port, allowHalfOpen: true });
    const pair = { client, server };
    pairs.add(pair);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => reset(pair));
    }
    const finish = (): void => {
      if (client.destroyed && server.destroyed) pairs.delete(pair);
    };
    client.on('close', finish);
    server.on('close', finish);
    if (mode === 'pass') join(pair);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');

  const drop = (): void => {
    for (const pair of pairs) reset(pair);
  };
  return {
    host: '127.0.0.1',
    port: address.port,
    get connections() {
      return pairs.size;
    },
    pass: () => {
      if (mode === 'hold') for (const pair of pairs) join(pair);
      mode = 'pass';
    },
    hold: () => {
      mode = 'hold';
      for (const pair of pairs) part(pair);
    },
    drop,
    refuse: () => {
      mode = 'refuse';
      drop();
    },
    [Symbol.asyncDispose]: async () => {
      drop();
      listener.close();
      await once(listener, 'close');
    },
  };
}
