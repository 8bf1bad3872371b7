import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { readProxyHeader } from './proxy-header.ts';

export type ProxyFrontParts = {
  /** Whether this peer must begin its connections with a header. From others none is read. */
  readonly mustSend: (peer: string) => boolean;
  /** A connection without a valid header was cut. */
  readonly onInvalid: () => void;
};

/** For the whole header. */
const HEADER_MS = 10_000;

/**
 * Takes the PROXY protocol header off the connections of trusted proxies, before TLS and HTTP, and remembers whom they name. Who else
 * connects is served as the client that it is: a header of theirs is a malformed request.
 */
export class ProxyFront implements Disposable {
  readonly #parts: ProxyFrontParts;
  /** By the other end of the TCP connection, which stays the same when TLS wraps it. */
  readonly #sources = new Map<string, { readonly source: string }>();
  /** Those that are no request's yet: the HTTP server does not know them. */
  readonly #waiting = new Set<Socket>();

  /** @param server not listening yet, TLS already in front of it. */
  constructor(server: Server, parts: ProxyFrontParts) {
    this.#parts = parts;
    const listeners = server.listeners('connection');
    server.removeAllListeners('connection');
    const pass = (socket: Socket): void => {
      for (const listener of listeners) Reflect.apply(listener, server, [socket]);
    };
    server.on('connection', (socket: Socket) => {
      if (parts.mustSend(socket.remoteAddress ?? '')) this.#read(socket, pass);
      else pass(socket);
    });
  }

  /** The client of a connection: whom the header named, else the peer. */
  peerOf({ remoteAddress = '', remotePort }: Socket): string {
    return this.#sources.get(`${remoteAddress} ${remotePort}`)?.source ?? remoteAddress;
  }

  /** Cuts the connections that have not said yet whose they are. */
  [Symbol.dispose](): void {
    for (const socket of this.#waiting) socket.destroy();
  }

  #read(socket: Socket, pass: (socket: Socket) => void): void {
    const cut = (): void => void socket.destroy();
    const timer = setTimeout(cut, HEADER_MS);
    const done = (): void => {
      clearTimeout(timer);
      this.#waiting.delete(socket);
      socket.off('readable', onReadable);
      socket.off('error', cut);
      socket.off('end', cut);
      socket.off('close', done);
    };
    let bytes = Buffer.alloc(0);
    const onReadable = (): void => {
      const more: Buffer | null = socket.read();
      if (more === null) return;
      bytes = Buffer.concat([bytes, more]);
      const header = readProxyHeader(bytes);
      if (header.kind === 'incomplete') return;
      done();
      if (header.kind === 'invalid') {
        this.#parts.onInvalid();
        socket.on('error', () => undefined);
        return cut();
      }
      this.#remember(socket, header.source);
      if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length));
      pass(socket);
    };
    this.#waiting.add(socket);
    socket.on('readable', onReadable);
    socket.on('error', cut);
    socket.on('end', cut);
    socket.on('close', done);
  }

  #remember(socket: Socket, source: string | undefined): void {
    const { remoteAddress, remotePort } = socket;
    if (source === undefined || remoteAddress === undefined) return;
    const peer = `${remoteAddress} ${remotePort}`;
    const said = { source };
    this.#sources.set(peer, said);
    socket.once('close', () => {
      // The next connection from there may have come already.
      if (this.#sources.get(peer) === said) this.#sources.delete(peer);
    });
  }
}
