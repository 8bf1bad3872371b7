import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Secret } from '#crds/keyring.ts';
import { equalInConstantTime } from '../auth/constant-time.ts';
import { presentedIn, type CertificateHeader } from './certificate-headers.ts';
import { readFingerprint, type PresentedCertificate } from './presented-certificate.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

/** What the platform has set up for proxies that end TLS with client certificates. */
export type CertificateSettings = {
  /** Those that its proxies set, or remove from what clients send. No other one is looked at. */
  readonly headers: readonly CertificateHeader[];
  /** A proxy must send one of these too; none: an address that is trusted is enough. */
  readonly proxySecrets: readonly Secret[];
  /** Fingerprints, one of which a proxy must come with itself; empty: as before. */
  readonly proxyCertificates: ReadonlySet<string>;
};

export const PROXY_SECRET_HEADER = 'x-relay-proxy-secret';

/** Why a header that names a certificate was not believed: made up, or a proxy is not set up. */
export type Disbelief = 'untrusted_peer' | 'proxy_unproven';

export type ClientCertificatesParts = {
  readonly settings: CertificateSettings;
  readonly proxies: Pick<TrustedProxies, 'isBehind'>;
  /** Called for each look at the request. */
  readonly ignored: (request: IncomingMessage, why: Disbelief) => void;
};

/**
 * Says with which certificate a client came: as the proxy in front says, or as the TLS handshake proved that ended here. Any certificate is
 * taken down, whoever signed it: what counts is whether an app has it registered.
 */
export class ClientCertificates {
  readonly #parts: ClientCertificatesParts;
  /** By connection, which carries many requests. */
  readonly #handshakes = new WeakMap<Socket, string | null>();

  constructor(parts: ClientCertificatesParts) {
    this.#parts = parts;
  }

  /** undefined: with none. */
  of(request: IncomingMessage): PresentedCertificate | undefined {
    const { settings, ignored } = this.#parts;
    const own = this.#ofHandshake(request.socket);
    if (settings.headers.some((name) => request.headers[name] !== undefined)) {
      const disbelief = this.#disbelief(request, own);
      if (disbelief === undefined) return presentedIn(request.headers, settings.headers);
      ignored(request, disbelief);
    }
    // A proxy's own certificate says nothing about its clients.
    return own === undefined || settings.proxyCertificates.has(own) ? undefined : { sha256: own };
  }

  #disbelief(request: IncomingMessage, own: string | undefined): Disbelief | undefined {
    const { proxySecrets, proxyCertificates } = this.#parts.settings;
    if (!this.#parts.proxies.isBehind(request)) return 'untrusted_peer';
    if (proxyCertificates.size > 0 && (own === undefined || !proxyCertificates.has(own))) return 'proxy_unproven';
    if (proxySecrets.length === 0) return undefined;
    const sent = request.headers[PROXY_SECRET_HEADER];
    const isProven =
      typeof sent === 'string' && proxySecrets.some((secret) => equalInConstantTime(secret.reveal(), sent));
    return isProven ? undefined : 'proxy_unproven';
  }

  #ofHandshake(socket: Socket): string | undefined {
    if (!(socket instanceof TLSSocket)) return undefined;
    let sha256 = this.#handshakes.get(socket);
    if (sha256 === undefined) {
      const certificate = socket.getPeerX509Certificate();
      const read = certificate === undefined ? undefined : readFingerprint(certificate.fingerprint256);
      sha256 = read !== undefined && 'sha256' in read ? read.sha256 : null;
      this.#handshakes.set(socket, sha256);
    }
    return sha256 ?? undefined;
  }
}
