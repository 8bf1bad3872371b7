import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import pg from 'pg';
import type { LinkTls } from '#crds/link-tls.ts';

/** What the pool says of trouble on connections that nobody is using: PostgreSQL restarted, or the network dropped them. */
export type ConnectionLostListener = (error: Error) => void;

// bigint as number: revisions and terms stay far below 2⁵³.
const INT8 = pg.types.builtins.INT8;
const types: pg.CustomTypesConfig = {
  getTypeParser: (id, format) =>
    id === INT8 && format !== 'binary' ? (text: string) => Number(text) : pg.types.getTypeParser(id, format),
};

/**
 * A pool of at most `max` connections (default 10). Queries reject while PostgreSQL is away; the pool reconnects by itself.
 * A session that stops in mid-transaction (a frozen process) is ended by the server after 10 s, so that its row lock on `directory` does
 * not keep the next leader out.
 */
export function createPool(options: {
  readonly url: string;
  /** undefined: as the URL says (`sslmode`). */
  readonly tls?: LinkTls | undefined;
  readonly max?: number;
  /** How long to wait for an answer. Default 35 s; a pool for migrations wants more. */
  readonly queryTimeoutMs?: number;
  readonly onConnectionLost: ConnectionLostListener;
}): pg.Pool {
  const pool = new pg.Pool({
    connectionString: options.url,
    ...(options.tls === undefined ? {} : { ssl: verified(options.tls) }),
    max: options.max ?? 10,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    application_name: 'relay-operator',
    idle_in_transaction_session_timeout: 10_000,
    statement_timeout: 30_000,
    // Ends the wait for an answer that never comes (a cut network), a little after the server would have given up.
    query_timeout: options.queryTimeoutMs ?? 35_000,
    types,
  });
  // Without listeners an error on an idle or a checked-out connection ends the process.
  pool.on('error', options.onConnectionLost);
  pool.on('connect', (client) => client.on('error', options.onConnectionLost));
  return pool;
}

/** `pg` itself puts the host of the URL in place of another name to check for, unless the host is an address. */
function verified({ servername, ...files }: LinkTls) {
  if (servername === undefined) return files;
  return {
    ...files,
    servername,
    checkServerIdentity: (_host: string, certificate: PeerCertificate) => checkServerIdentity(servername, certificate),
  };
}
