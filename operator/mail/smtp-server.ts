import { Secret } from '#crds/keyring.ts';

/** Where mail is handed in, as SMTP_URL says. */
export type SmtpServer = {
  readonly host: string;
  readonly port: number;
  /** Implicit: TLS from the first byte (RFC 8314). StartTls: refused without. None: only on this machine. */
  readonly tls: 'Implicit' | 'StartTls' | 'None';
  readonly login: { readonly user: string; readonly password: Secret } | undefined;
};

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Parses `smtp://user:password@host:587` (STARTTLS) and `smtps://user:password@host:465`. `?starttls=never` speaks plaintext, with a server on
 * this machine only. Throws an Error that repeats nothing of the URL.
 */
export function parseSmtpUrl(text: string): SmtpServer {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^smtps?:$/.test(url.protocol) || url.hostname === '')
    throw new Error('must be smtp://user:password@host:587 (STARTTLS) or smtps://user:password@host:465');
  if (!['', '/'].includes(url.pathname) || url.hash !== '') throw new Error('must not have a path');
  const secure = url.protocol === 'smtps:';
  const parameters = [...url.searchParams];
  const plaintext = parameters.length === 1 && url.search === '?starttls=never';
  if (parameters.length > 0 && !plaintext) throw new Error('knows one parameter, starttls=never');
  if (plaintext && secure) throw new Error('starttls=never contradicts smtps://');
  if (plaintext && !LOOPBACK.has(url.hostname))
    throw new Error(
      'starttls=never is for a server on this machine (localhost): others could read and change what is sent',
    );
  if ((url.username === '') !== (url.password === '')) throw new Error('a user and a password belong together');
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (secure ? 465 : 587) : Number(url.port),
    tls: secure ? 'Implicit' : plaintext ? 'None' : 'StartTls',
    login:
      url.username === '' ? undefined : { user: decoded(url.username), password: new Secret(decoded(url.password)) },
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new Error('user and password must be percent-encoded: write %25 for %', { cause: error });
  }
}
