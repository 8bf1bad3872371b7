import type { IncomingMessage, Server } from 'node:http';
import type { ForwardingHeader } from '../access/client-address.ts';
import { ClientCertificates, type CertificateSettings, type Disbelief } from '../access/client-certificates.ts';
import type { IpRanges } from '../access/ip-ranges.ts';
import { ProxyFront } from '../access/proxy-front.ts';
import { TrustedProxies } from '../access/trusted-proxies.ts';
import { cameInPlaintext } from '../transport/plaintext.ts';
import { isEncrypted } from '../transport/tls-front.ts';
import type { RelayMetrics } from './metrics.ts';

/** Who may say, in which header, on whose behalf it calls. */
export type ProxySettings = {
  readonly trusted: IpRanges;
  readonly header: ForwardingHeader;
  /** They begin each connection with a PROXY protocol header. Left out: they do not. */
  readonly proxyProtocol?: boolean;
  /** How they say with which certificate it called. Left out: nobody is believed. */
  readonly certificates?: CertificateSettings;
};

const NO_CERTIFICATE_HEADERS: CertificateSettings = { headers: [], proxySecrets: [], proxyCertificates: new Set() };

/** What both doors ask about who calls: from which address, with which certificate, and whether over TLS. */
export class Callers {
  readonly proxies: TrustedProxies;
  readonly certificates: ClientCertificates;
  readonly #settings: ProxySettings;
  readonly #requireTls: boolean;
  readonly #metrics: RelayMetrics;
  #front: ProxyFront | undefined;

  constructor(settings: ProxySettings, requireTls: boolean, metrics: RelayMetrics) {
    this.#settings = settings;
    this.#requireTls = requireTls;
    this.#metrics = metrics;
    this.proxies = new TrustedProxies({
      ranges: settings.trusted,
      header: settings.header,
      peerOf: (socket) => this.#front?.peerOf(socket) ?? socket.remoteAddress ?? '',
      ignored: oncePerRequest(() => metrics.forwardingHeadersIgnored.inc()),
    });
    this.certificates = new ClientCertificates({
      settings: settings.certificates ?? NO_CERTIFICATE_HEADERS,
      proxies: this.proxies,
      ignored: oncePerRequest((reason: Disbelief) => metrics.certificateHeadersIgnored.inc({ reason })),
    });
  }

  /** Whether a request or a handshake lacks the TLS that this relay wants. */
  readonly tlsMissing = (request: IncomingMessage): boolean =>
    this.#requireTls &&
    cameInPlaintext({ encrypted: isEncrypted(request.socket), forwardedProto: this.proxies.protocolOf(request) });

  /**
   * From now on reads the PROXY protocol header of its connections, where proxies are set up to send one.
   * @param server not listening yet, TLS already in front of it · @returns disposing cuts the connections that have not said whose they are.
   */
  readProxyHeaders(server: Server): Disposable {
    if (this.#settings.proxyProtocol === true) {
      this.#front = new ProxyFront(server, {
        mustSend: (peer) => this.proxies.trusts(peer),
        onInvalid: () => this.#metrics.proxyHeadersInvalid.inc(),
      });
    }
    return { [Symbol.dispose]: () => this.#front?.[Symbol.dispose]() };
  }
}

/** A request that waits, for its body say, is looked at again; it is one attempt all the same. */
function oncePerRequest<Why extends readonly unknown[]>(
  count: (...why: Why) => void,
): (request: IncomingMessage, ...why: Why) => void {
  const counted = new WeakSet<IncomingMessage>();
  return (request, ...why) => {
    if (counted.has(request)) return;
    counted.add(request);
    count(...why);
  };
}
