import type { RequestListener, Server } from 'node:http';
import type { Socket } from 'node:net';

/** Requests of one connection that wait for the answer to one before them (RFC 9112, 9.3.2): more than clients that do so have under way. */
const MOST_WAITING = 32;

/**
 * Cuts connections on which more and more is asked before what was asked is answered and read. Node serves all that stands in a piece of what
 * came, and keeps request and answer of each until the client has taken those before: some fifty kilobytes of pipelined requests, for which
 * nobody needs a credential, would hold thirty megabytes for as long as the client likes. A client asks again what was not answered.
 * @param onCut a connection was cut.
 */
export function limitPipelining(server: Server, onCut: () => void): void {
  const listeners = server.listeners('request');
  server.removeAllListeners('request');
  /** By connection; nearly none is here, because nearly nobody asks on before the answer. */
  const waiting = new WeakMap<Socket, number>();
  const listener: RequestListener = (request, response) => {
    const { socket } = request;
    // What came behind the request at which it was cut is nobody's any more.
    if (socket.destroyed) return;
    // Only one answer at a time has the connection.
    if (response.socket === null) {
      const count = (waiting.get(socket) ?? 0) + 1;
      if (count > MOST_WAITING) {
        onCut();
        socket.destroy();
        return;
      }
      waiting.set(socket, count);
      response.once('close', () => waiting.set(socket, (waiting.get(socket) ?? 1) - 1));
    }
    for (const each of listeners) Reflect.apply(each, server, [request, response]);
  };
  server.on('request', listener);
}
