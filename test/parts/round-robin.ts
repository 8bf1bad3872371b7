import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';

/** One address in front of several servers, as a Service in front of its pods. */
export type RoundRobin = AsyncDisposable & {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** How many connections each server was given so far, in the order of `ports`. */
  readonly given: readonly number[];
};

/** Listens on 127.0.0.1 and hands each new TCP connection to the next of these ports of 127.0.0.1. A server that refuses is no reason to ask another. */
export async function startRoundRobin(ports: readonly number[]): Promise<RoundRobin> {
  const sockets = new Set<Socket>();
  const given = ports.map(() => 0);
  let next = 0;
  const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const index = next;
    next = (next + 1) % ports.length;
    given[index] = (given[index] ?? 0) + 1;
    const server = createConnection({
      host: '127.0.0.1',
      port: ports[index] ?? 0,
      allowHalfOpen: true,
      noDelay: true,
    });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket);
      // A reset on one side is a reset on the other: a client must see the end of a server that was killed.
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('the listener has no port');
  return {
    host: '127.0.0.1',
    port: address.port,
    given,
    [Symbol.asyncDispose]: async () => {
      listener.close();
      for (const socket of sockets) socket.destroy();
      await once(listener, 'close');
    },
  };
}
