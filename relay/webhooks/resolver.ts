import { lookup, Resolver } from 'node:dns/promises';

/** The addresses of a host name, in order of preference. Rejects when there are none to be had in time. */
export type Resolve = (host: string, trusted: boolean) => Promise<readonly string[]>;

const TIMEOUT_MS = 2_000;
const TRIES = 2;

/**
 * Names that tenants choose are asked for on a resolver of their own: the system's (getaddrinfo) occupies one of the process's few I/O threads for
 * as long as a name server cares to be silent. Names without a dot and those that the platform opened are the platform's, and may stand in
 * a hosts file or need a search domain: these go to the system's.
 */
export function createResolver(): Resolve {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  return async (host, trusted) => {
    if (trusted || !host.includes('.') || host.endsWith('.localhost')) {
      return (await lookup(host, { all: true })).map(({ address }) => address);
    }
    const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (found.length > 0) return found;
    throw new Error(`${host} has no address`);
  };
}
