import { readFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import tls from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { KubeConfig } from '@kubernetes/client-node';
import type { Clock } from '../engine/clock.ts';

/** All that a request needs to know of the cluster. */
export type Access = {
  readonly url: URL;
  readonly agent: http.Agent;
  /** Names and values in turn. */
  readonly headers: readonly string[];
};

/** A user whose token is in a file, as the library describes a pod's ServiceAccount. */
const tokenFileUser = z.object({ authProvider: z.object({ config: z.object({ tokenFile: z.string() }) }) });

/** As client-go: a rotated token or certificate is noticed after this time at the latest, or with the first 401. */
const REFRESH_MS = 60_000;

/**
 * The way to the API server: one agent, whose connections are kept, and credentials that are read again every minute. The library is
 * used to understand the kubeconfig and to obtain credentials, but not to send: it builds a new dispatcher, and with it
 * a new TLS connection, for every request as soon as TLS options are set.
 */
export class Connection implements AsyncDisposable {
  readonly #config: KubeConfig;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #url: URL;
  readonly #proxied: boolean;
  #access: Access | undefined;
  #readAt = 0;
  #reading: Promise<Access> | undefined;
  #credentials: tls.SecureContextOptions = {};
  #agent: http.Agent | undefined;

  /** Throws when the configuration has no current cluster. */
  constructor(config: KubeConfig, clock: Pick<Clock, 'monotonic'>) {
    const cluster = config.getCurrentCluster();
    if (cluster === null) throw new Error('the kubeconfig has no current cluster');
    this.#config = config;
    this.#clock = clock;
    this.#url = new URL(cluster.server);
    this.#proxied = cluster.proxyUrl !== undefined && cluster.proxyUrl !== '';
  }

  get host(): string {
    return this.#url.host;
  }

  /** Without waiting where possible: a request should not cost a turn of the event loop. */
  access(): Access | Promise<Access> {
    if (this.#access !== undefined && this.#clock.monotonic() - this.#readAt < REFRESH_MS) return this.#access;
    return this.refresh();
  }

  /** Reads the credentials again; concurrent callers share one reading. */
  refresh(): Promise<Access> {
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  /** A peer that stopped answering leaves dead idle connections; each would cost the next request its deadline. */
  dropIdle(): void {
    for (const sockets of Object.values(this.#agent?.freeSockets ?? {})) {
      for (const socket of sockets ?? []) socket.destroy();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#agent?.destroy();
    return Promise.resolve();
  }

  async #read(): Promise<Access> {
    const options: https.RequestOptions = {};
    await this.#config.applyToHTTPSOptions(options);
    const headers: string[] = [];
    const token = await this.#tokenFromFile();
    if (token !== undefined) headers.push('Authorization', `Bearer ${token}`);
    for (const [name, value] of Object.entries(options.headers ?? {})) {
      if (value === undefined || (token !== undefined && name.toLowerCase() === 'authorization')) continue;
      headers.push(name, String(value).trim());
    }
    if (typeof options.auth === 'string') {
      headers.push('Authorization', `Basic ${Buffer.from(options.auth).toString('base64')}`);
    }
    this.#agent = this.#agentFor(options);
    this.#access = { url: this.#url, agent: this.#agent, headers };
    this.#readAt = this.#clock.monotonic();
    return this.#access;
  }

  /** Read by ourselves, because the library keeps a token for a minute even when the API server has just refused it. */
  async #tokenFromFile(): Promise<string | undefined> {
    const user = tokenFileUser.safeParse(this.#config.getCurrentUser());
    return user.success ? (await readFile(user.data.authProvider.config.tokenFile, 'utf8')).trim() : undefined;
  }

  #agentFor(options: https.RequestOptions): http.Agent {
    const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername, agent } = options;
    if (this.#proxied && agent instanceof http.Agent) return agent;
    const credentials = { ca, cert, key, pfx, passphrase } as tls.SecureContextOptions;
    if (this.#agent !== undefined && isDeepStrictEqual(this.#credentials, credentials)) return this.#agent;
    this.#credentials = credentials;
    const former = this.#agent;
    const kept = { keepAlive: true, keepAliveMsecs: 30_000, maxFreeSockets: 64 };
    this.#agent =
      this.#url.protocol === 'http:'
        ? new http.Agent(kept)
        : new OneServerAgent({
            ...kept,
            secureContext: tls.createSecureContext(credentials),
            servername:
              servername ?? (isIP(this.#url.hostname.replace(/^\[|\]$/g, '')) === 0 ? this.#url.hostname : ''),
            ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
          });
    // Requests under way on the former agent end by themselves; only its idle connections have to go.
    for (const sockets of Object.values(former?.freeSockets ?? {}))
      for (const socket of sockets ?? []) socket.destroy();
    return this.#agent;
  }
}

/** Node's agent joins all TLS options into the name of a pool at every request. There is one server here, so one pool. */
class OneServerAgent extends https.Agent {
  override getName(): string {
    return 'api-server';
  }
}
