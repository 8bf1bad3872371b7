import { Agent as HttpAgent, request as httpRequest, validateHeaderName, validateHeaderValue } from 'node:http';
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { AddressPolicy } from './address-policy.ts';
import type { Resolve } from './resolver.ts';

export type PostRequest = {
  readonly url: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
};

/**
 * How a POST ended. `refused` is final: it will not be otherwise in a minute. Everything else may be.
 * `status`: what the endpoint answered, if it did.
 */
export type PostResult =
  | { readonly outcome: 'delivered'; readonly status: number }
  | { readonly outcome: 'failed'; readonly reason: 'status' | 'redirect'; readonly status: number }
  | { readonly outcome: 'failed'; readonly reason: 'timeout' | 'unresolved' | 'unreachable' | 'tls' }
  | { readonly outcome: 'refused'; readonly reason: 'address_refused' | 'url_invalid' };

/** Never rejects. */
export type Post = (request: PostRequest) => Promise<PostResult>;

export type HttpPostOptions = {
  readonly policy: AddressPolicy;
  readonly resolve: Resolve;
  /** Certificates that are trusted beside those of Node; for tests (others use NODE_EXTRA_CA_CERTS). */
  readonly ca?: readonly string[];
  /** Default 10 000: from the first byte of DNS to the last of the answer. */
  readonly timeoutMs?: number;
};

const TIMEOUT_MS = 10_000;
/** Nobody reads the answer; it is taken in so far so that the connection can be used again. */
const MAX_ANSWER_BYTES = 65_536;
const IDLE_SOCKET_MS = 15_000;

/** Sends webhooks by HTTP. Redirects are not followed, certificates are verified, and it connects to no address that the policy was not asked about. */
export function createHttpPost({ policy, resolve, ca, timeoutMs = TIMEOUT_MS }: HttpPostOptions): Post & Disposable {
  const pool = { keepAlive: true, maxFreeSockets: 64, timeout: IDLE_SOCKET_MS };
  const agents = {
    http: new HttpAgent(pool),
    https: new HttpsAgent({ ...pool, rejectUnauthorized: true, ...(ca === undefined ? {} : { ca: [...ca] }) }),
  };

  const post: Post = async ({ url, headers, body }) => {
    const target = URL.parse(url);
    const isHttps = target?.protocol === 'https:';
    if (
      target === null ||
      !(isHttps || target.protocol === 'http:') ||
      target.username !== '' ||
      target.password !== ''
    ) {
      return { outcome: 'refused', reason: 'url_invalid' };
    }
    const signal = AbortSignal.timeout(timeoutMs);
    const host = target.hostname.replace(/^\[(.*)\]$/, '$1');
    const addresses = await addressesOf(host, policy, resolve, signal);
    if (typeof addresses === 'string') {
      return addresses === 'address_refused'
        ? { outcome: 'refused', reason: addresses }
        : { outcome: 'failed', reason: addresses };
    }
    const options = {
      method: 'POST',
      host,
      port: target.port === '' ? (isHttps ? 443 : 80) : Number(target.port),
      path: `${target.pathname}${target.search}`,
      headers: {
        host: target.host,
        'user-agent': 'relay-webhooks',
        ...sendable(headers),
        'content-type': 'application/json',
        'content-length': body.byteLength,
      },
      lookup: pinned(addresses),
      signal,
    };
    const sent = isHttps
      ? httpsRequest({ ...options, agent: agents.https })
      : httpRequest({ ...options, agent: agents.http });
    return answerTo(sent, body, signal);
  };
  return Object.assign(post, {
    [Symbol.dispose]: () => {
      agents.http.destroy();
      agents.https.destroy();
    },
  });
}

/** One refused address among several refuses the host: a name that also points inside is no accident. */
async function addressesOf(
  host: string,
  policy: AddressPolicy,
  resolve: Resolve,
  signal: AbortSignal,
): Promise<readonly string[] | 'address_refused' | 'unresolved' | 'timeout'> {
  const trusted = policy.allowsHost(host);
  if (isIP(host) !== 0) return trusted || policy.allowsAddress(host) ? [host] : 'address_refused';
  const { promise: late, resolve: giveUp } = Promise.withResolvers<'timeout'>();
  const onAbort = (): void => giveUp('timeout');
  signal.addEventListener('abort', onAbort);
  try {
    const found = resolve(host, trusted).then(
      (addresses) => (addresses.length === 0 ? 'unresolved' : addresses),
      () => 'unresolved' as const,
    );
    const addresses = await Promise.race([found, late]);
    if (typeof addresses === 'string' || trusted) return addresses;
    return addresses.every((address) => policy.allowsAddress(address)) ? addresses : 'address_refused';
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** The connection is made to what was checked: whatever the name server says a moment later is not asked for. */
function pinned(addresses: readonly string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_host, options, callback) => {
    const [first] = all;
    if (options.all === true || first === undefined) callback(null, all);
    else callback(null, first.address, first.family);
  };
}

function answerTo(request: ClientRequest, body: Buffer, signal: AbortSignal): Promise<PostResult> {
  const { promise, resolve } = Promise.withResolvers<PostResult>();
  let isAnswered = false;
  request.once('response', (response) => {
    isAnswered = true;
    drained(response, () => resolve(judged(response.statusCode ?? 0)));
  });
  // Stays attached: a connection may fail again after the answer.
  request.on('error', (error) => {
    if (signal.aborted) resolve({ outcome: 'failed', reason: 'timeout' });
    else resolve({ outcome: 'failed', reason: isCertificateError(error) ? 'tls' : 'unreachable' });
  });
  // Neither of both comes when the endpoint answers 101 and nobody here wants to switch protocols.
  request.once('close', () => {
    if (!isAnswered) resolve({ outcome: 'failed', reason: signal.aborted ? 'timeout' : 'unreachable' });
  });
  request.end(body);
  return promise;
}

/** Reads the answer away; one that is too long, breaks off or stalls costs the connection and nothing else. */
function drained(response: IncomingMessage, done: () => void): void {
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes > MAX_ANSWER_BYTES) response.destroy();
  });
  response.on('error', () => {});
  response.once('close', done);
}

function judged(status: number): PostResult {
  if (status >= 200 && status < 300) return { outcome: 'delivered', status };
  return { outcome: 'failed', reason: status >= 300 && status < 400 ? 'redirect' : 'status', status };
}

function isCertificateError(error: Error): boolean {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return /^(ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|EPROTO|HOSTNAME_MISMATCH)/.test(code);
}

/** Of the connection or of the delivery itself, so not for tenants to set. */
const RESERVED = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Leaves out what would change the request itself or cannot be sent at all. */
function sendable(headers: ReadonlyMap<string, string>): OutgoingHttpHeaders {
  const kept: OutgoingHttpHeaders = {};
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    if (RESERVED.has(key)) continue;
    try {
      validateHeaderName(key);
      validateHeaderValue(key, value);
      kept[key] = value;
    } catch {
      // The Secret holds something that is no header; the others still go.
    }
  }
  return kept;
}
