import { z } from 'zod';
import { Secret } from './keyring.ts';
import { parsedBy } from './settings.ts';

/**
 * TLS of a link that a process opens, to PostgreSQL or Redis. Settings name files; what is kept is what stood in them at start. The other
 * side's certificate is always verified: TLS that anybody can answer protects from nobody.
 */
export type LinkTls = {
  /** PEM. Instead of the system's authorities. */
  readonly ca?: string;
  /** PEM: who we are. */
  readonly cert?: string;
  readonly key?: string;
  /** The name that the other side's certificate must have, where it is not the host of the URL. */
  readonly servername?: string;
};

/** Returns a file's text, or throws; given from outside, because this folder does no I/O. */
export type ReadFile = (path: string) => string;

/** A setting that names a PEM file. */
export function pemFile(read: ReadFile, description: string) {
  return parsedBy((path) => {
    const text = readable(read, path);
    if (!text.includes('-----BEGIN ')) throw new Error('the file is not PEM');
    return new Secret(text);
  })
    .optional()
    .describe(description);
}

export type LinkTlsFiles = {
  readonly ca: Secret | undefined;
  readonly cert: Secret | undefined;
  readonly key: Secret | undefined;
  readonly servername: string | undefined;
};

/** undefined: nothing is set. */
export function linkTls({ ca, cert, key, servername }: LinkTlsFiles): LinkTls | undefined {
  if ([ca, cert, key, servername].every((value) => value === undefined)) return undefined;
  return {
    ...(ca === undefined ? {} : { ca: ca.reveal() }),
    ...(cert === undefined ? {} : { cert: cert.reveal() }),
    ...(key === undefined ? {} : { key: key.reveal() }),
    ...(servername === undefined ? {} : { servername }),
  };
}

/** The settings of the link to Redis, which operator and relay share. */
export const redisTlsSettings = (read: ReadFile) => ({
  REDIS_TLS_CA_FILE: pemFile(
    read,
    "The authorities that may vouch for Redis (rediss://), a PEM file. Default: the system's.",
  ),
  REDIS_TLS_CERT_FILE: pemFile(read, 'Our certificate for Redis, a PEM file. Needs REDIS_TLS_KEY_FILE.'),
  REDIS_TLS_KEY_FILE: pemFile(read, 'The private key of REDIS_TLS_CERT_FILE, a PEM file.'),
  REDIS_TLS_SERVER_NAME: nameSetting(
    'The name that the certificate of Redis must have. Default: the host of REDIS_URL.',
  ),
});

export type RedisTlsSettings = {
  readonly REDIS_URL: Secret;
  readonly REDIS_TLS_CA_FILE?: Secret | undefined;
  readonly REDIS_TLS_CERT_FILE?: Secret | undefined;
  readonly REDIS_TLS_KEY_FILE?: Secret | undefined;
  readonly REDIS_TLS_SERVER_NAME?: string | undefined;
};

export const redisTls = (settings: RedisTlsSettings): LinkTls | undefined =>
  linkTls({
    ca: settings.REDIS_TLS_CA_FILE,
    cert: settings.REDIS_TLS_CERT_FILE,
    key: settings.REDIS_TLS_KEY_FILE,
    servername: settings.REDIS_TLS_SERVER_NAME,
  });

/** What is wrong with them together; undefined: nothing. */
export function redisTlsContradiction(settings: RedisTlsSettings): string | undefined {
  const tls = redisTls(settings);
  if (tls === undefined) return undefined;
  if ((tls.cert === undefined) !== (tls.key === undefined))
    return 'REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE: one is of no use without the other';
  // Silently in plaintext is what nobody wants who has set one of these.
  return settings.REDIS_URL.reveal().trim().startsWith('rediss')
    ? undefined
    : 'REDIS_TLS_…: REDIS_URL must start with rediss to speak TLS';
}

/** A setting that is a host name. */
export function nameSetting(description: string) {
  return z.string().optional().describe(description);
}

function readable(read: ReadFile, path: string): string {
  try {
    return read(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
    throw new Error(`the file cannot be read (${code})`, { cause: error });
  }
}
