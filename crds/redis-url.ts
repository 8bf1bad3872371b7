/**
 * The forms of REDIS_URL that operator and relay both take:
 *   redis[s]://[user:password@]host[:port][/db]
 *   redis[s]+cluster://[user:password@]host[:port],host[:port]…
 *   redis[s]+sentinel://[user:password@]host[:port],host[:port]…/masterName[?sentinelUsername=…&sentinelPassword=…]
 */
export type RedisEndpoint = { readonly host: string; readonly port: number };

export type RedisAddress = {
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
} & (
  | { readonly kind: 'single'; readonly endpoint: RedisEndpoint; readonly database: number }
  | { readonly kind: 'cluster'; readonly endpoints: readonly RedisEndpoint[] }
  | {
      readonly kind: 'sentinel';
      readonly endpoints: readonly RedisEndpoint[];
      readonly masterName: string;
      readonly sentinelUsername: string | undefined;
      readonly sentinelPassword: string | undefined;
    }
);

const FORM = /^(redis|rediss)(?:\+(cluster|sentinel))?:\/\/(?:([^@/]*)@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/;

/** A `/`, `@` or `%` in a password that nobody encoded moves the rest of it into the host, the path or the parameters. */
const ENCODING = 'in user and password %40 stands for @, %2F for / and %25 for %';

/** Throws an Error that says what is wrong and repeats nothing of the URL: where its password ends may be just what is wrong. */
export function parseRedisUrl(text: string): RedisAddress {
  const match = FORM.exec(text.trim());
  if (match === null) {
    throw new Error(
      'expected redis://host:6379, rediss://…, redis+cluster://a:6379,b:6379 or redis+sentinel://a:26379,b:26379/master',
    );
  }
  const [, scheme, kind, userInfo, hosts = '', path = '', query = ''] = match;
  const [username, password] = splitUserInfo(userInfo);
  const parameters = sentinelParameters(query);
  if (parameters.size > 0 && kind !== 'sentinel') throw new Error('only redis+sentinel:// has parameters');
  const tls = scheme === 'rediss';
  if (kind === undefined) {
    const database = path === '' ? 0 : Number(path);
    if (!Number.isInteger(database) || database < 0)
      throw new Error(`the path must be the number of a database, such as /0 (${ENCODING})`);
    const endpoints = hosts.split(',');
    if (endpoints.length > 1) throw new Error('several hosts need redis+cluster:// or redis+sentinel://');
    return { kind: 'single', tls, username, password, endpoint: parseEndpoint(hosts, 6379), database };
  }
  if (kind === 'cluster') {
    if (path !== '') throw new Error('a cluster has no numbered databases: the URL ends with the hosts');
    return {
      kind: 'cluster',
      tls,
      username,
      password,
      endpoints: hosts.split(',').map((host) => parseEndpoint(host, 6379)),
    };
  }
  if (path === '')
    throw new Error('a sentinel URL ends in the name of the master: redis+sentinel://host:26379/mymaster');
  return {
    kind: 'sentinel',
    tls,
    username,
    password,
    endpoints: hosts.split(',').map((host) => parseEndpoint(host, 26379)),
    masterName: path,
    sentinelUsername: parameters.get('sentinelUsername') ?? undefined,
    sentinelPassword: parameters.get('sentinelPassword') ?? undefined,
  };
}

function sentinelParameters(query: string): URLSearchParams {
  const parameters = new URLSearchParams(query);
  const known = ['sentinelUsername', 'sentinelPassword'];
  if ([...parameters.keys()].some((name) => !known.includes(name)))
    throw new Error(`the known parameters are ${known.join(' and ')}`);
  return parameters;
}

function splitUserInfo(userInfo: string | undefined): [string | undefined, string | undefined] {
  if (userInfo === undefined || userInfo === '') return [undefined, undefined];
  const colon = userInfo.indexOf(':');
  if (colon === -1) return [decoded(userInfo), undefined];
  const username = decoded(userInfo.slice(0, colon));
  return [username === '' ? undefined : username, decoded(userInfo.slice(colon + 1))];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error(`user and password must be percent-encoded: ${ENCODING}`);
  }
}

function parseEndpoint(text: string, defaultPort: number): RedisEndpoint {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:@[\]]+)(?::(\d+))?$/.exec(text.trim());
  const port = match?.[2] === undefined ? defaultPort : Number(match[2]);
  if (match?.[1] === undefined || port < 1 || port > 65_535)
    throw new Error(`each host must be host or host:port, with commas between (${ENCODING})`);
  return { host: match[1].replace(/^\[|\]$/g, ''), port };
}
