import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';
import { certificateAuthority, type CertificateAuthority } from './certificate.ts';

/** A mail as it arrived. */
export type ReceivedMail = {
  readonly from: string;
  readonly to: readonly string[];
  /** Header and body, byte for byte. */
  readonly raw: string;
  readonly secure: boolean;
  readonly user: string | undefined;
};

/** What the server does with the next recipients and mails. */
export type SmtpBehaviour =
  | { readonly kind: 'accept' }
  /** Answers to RCPT TO. */
  | { readonly kind: 'refuse'; readonly code: number }
  /** Takes the mail and never answers. */
  | { readonly kind: 'hang' }
  /** Takes the mail and ends the connection without an answer. */
  | { readonly kind: 'close' };

export type SmtpServerOptions = {
  readonly tls: 'Implicit' | 'StartTls' | 'None';
  readonly login?: { readonly user: string; readonly password: string };
  /** Default: any free one. */
  readonly port?: number;
  /** Whom its certificate is from. Default: one of its own. */
  readonly authority?: CertificateAuthority;
};

export type TestSmtpServer = AsyncDisposable & {
  readonly port: number;
  readonly authority: CertificateAuthority;
  readonly mails: readonly ReceivedMail[];
  /** The passwords that were tried. */
  readonly logins: readonly string[];
  behave(behaviour: SmtpBehaviour, recipient?: string): void;
};

/** A real SMTP server on 127.0.0.1, with a certificate for localhost of an authority of its own. */
export async function startSmtpServer({
  tls,
  login,
  port = 0,
  authority = certificateAuthority(),
}: SmtpServerOptions): Promise<TestSmtpServer> {
  const mails: ReceivedMail[] = [];
  const logins: string[] = [];
  const sockets = new Set<Socket>();
  const behaviours = new Map<string, SmtpBehaviour>();
  const behaviourOf = (recipient: string): SmtpBehaviour =>
    behaviours.get(recipient) ?? behaviours.get('') ?? { kind: 'accept' };
  const server = new SMTPServer({
    secure: tls === 'Implicit',
    ...authority.issue('localhost', 'DNS:localhost', 'IP:127.0.0.1'),
    authOptional: login === undefined,
    disabledCommands: [...(login === undefined ? ['AUTH'] : []), ...(tls === 'None' ? ['STARTTLS'] : [])],
    // Where plaintext was asked for, for this machine alone.
    allowInsecureAuth: tls === 'None',
    disableReverseLookup: true,
    onAuth: ({ username, password }, _session, callback) => {
      logins.push(password ?? '');
      if (username === login?.user && password === login?.password) callback(null, { user: username });
      else callback(Object.assign(new Error(`no: ${password}`), { responseCode: 535 }));
    },
    onRcptTo: ({ address }, _session, callback) => {
      const behaviour = behaviourOf(address);
      if (behaviour.kind !== 'refuse') callback();
      else callback(Object.assign(new Error('not here\nand not there'), { responseCode: behaviour.code }));
    },
    onData: (stream, { envelope, secure, user }, callback) => {
      void (async () => {
        const raw = await text(stream);
        const to = envelope.rcptTo.map(({ address }) => address);
        const behaviour = behaviourOf(to[0] ?? '');
        if (behaviour.kind === 'hang') return;
        if (behaviour.kind === 'close') {
          for (const socket of sockets) socket.destroy();
          return;
        }
        const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address;
        mails.push({ from, to, raw, secure, user });
        callback();
      })();
    },
  });
  server.server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  // A client that goes away in the middle is what some tests are about.
  server.on('error', () => {});
  server.listen(port, '127.0.0.1');
  await once(server.server, 'listening');
  return {
    port: portOf(server.server),
    authority,
    mails,
    logins,
    behave: (behaviour, recipient = '') => void behaviours.set(recipient, behaviour),
    [Symbol.asyncDispose]: async () => {
      const closed = once(server.server, 'close');
      server.server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A server that takes connections and never says a word. */
export async function startSilentServer(): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: portOf(server),
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function portOf(server: Pick<Server, 'address'>): number {
  return (server.address() as AddressInfo).port;
}
