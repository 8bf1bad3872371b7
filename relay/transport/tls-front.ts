import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { createServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import type { ServerCertificate } from './server-certificate.ts';

/** The first byte of a TLS connection: a handshake record (RFC 8446, 5.1). No HTTP request begins with it. */
const HANDSHAKE_RECORD = 0x16;
/** From the first packet to the end of the handshake. */
const HANDSHAKE_MS = 10_000;

/**
 * Ends TLS in front of an HTTP server on the same port. What comes in plaintext reaches the server too, as it is: it can be answered with
 * what it understands, where a TLS server would only cut it off. Whether a request was encrypted is `isEncrypted` of its connection.
 */
export class TlsFront implements Disposable {
  readonly #tls: TlsServer;
  /** Connections that are no request's yet, or were wrapped: the HTTP server does not know them. */
  readonly #sockets = new Set<Socket>();

  /**
   * @param server not listening yet · @param onFailure a handshake that failed
   * @param requestCertificates ask clients for a certificate. One that nobody vouches for is taken too: it is the registration that counts,
   * and that the client has the private key is proved in any case. It is kept in session tickets, which the server alone can read.
   */
  constructor(
    server: Server,
    certificate: ServerCertificate,
    { requestCertificates, onFailure }: { readonly requestCertificates: boolean; readonly onFailure: () => void },
  ) {
    const listeners = server.listeners('connection');
    server.removeAllListeners('connection');
    const pass = (socket: Socket): void => {
      for (const listener of listeners) Reflect.apply(listener, server, [socket]);
    };
    this.#tls = createServer({
      ...secureOptions(certificate),
      handshakeTimeout: HANDSHAKE_MS,
      ALPNProtocols: ['http/1.1'],
      noDelay: true,
      requestCert: requestCertificates,
      rejectUnauthorized: false,
    });
    this.#tls.on('secureConnection', pass);
    this.#tls.on('tlsClientError', (_error: Error, socket: TLSSocket) => {
      onFailure();
      socket.destroy();
    });
    server.on('connection', (socket: Socket) => this.#arrived(socket, pass));
  }

  /** Of connections from now on. */
  replace(certificate: ServerCertificate): void {
    this.#tls.setSecureContext(secureOptions(certificate));
  }

  /** Cuts every connection. */
  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #arrived(socket: Socket, pass: (socket: Socket) => void): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', ignore);
    const timer = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
    socket.once('close', () => clearTimeout(timer));
    socket.once('readable', () => {
      clearTimeout(timer);
      const first: Buffer | null = socket.read();
      // The other side closed without a word.
      if (first === null) return void socket.destroy();
      socket.unshift(first);
      socket.off('error', ignore);
      if (first[0] !== HANDSHAKE_RECORD) return pass(socket);
      // HTTP servers want theirs half-open, and TLS takes that over: a client that leaves in mid-handshake would be waited for.
      socket.allowHalfOpen = false;
      this.#tls.emit('connection', socket);
    });
  }
}

/** Whether a request came over TLS that ended here. */
export function isEncrypted(socket: object): boolean {
  return 'encrypted' in socket && socket.encrypted === true;
}

const secureOptions = ({ cert, key }: ServerCertificate) => ({ cert, key, minVersion: 'TLSv1.2' as const });

const ignore = (): void => undefined;
