import type { Server } from 'node:http';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { transportMetrics } from './metrics.ts';
import { keepReloading, readCertificate, type CertificateFiles } from './server-certificate.ts';
import { TlsFront } from './tls-front.ts';

/** How often the mounted files are looked at. The kubelet takes up to a minute to swap them. */
const RELOAD_MS = 5_000;

export type TransportSettings = {
  /** Serve TLS with these; undefined: plaintext only. */
  readonly certificate: CertificateFiles | undefined;
  /** Refuse what comes in plaintext. */
  readonly requireTls: boolean;
  /** Ask clients for a certificate, which makes browsers ask their users. */
  readonly requestCertificates?: boolean;
  /** How often the files are looked at; what is usual where it is left out. */
  readonly reloadMs?: number;
};

export const PLAINTEXT: TransportSettings = { certificate: undefined, requireTls: false };

/** Disposing cuts every connection that came through it. */
export type Transport = AsyncDisposable;

/** Puts TLS in front of a server that does not listen yet. Rejects when there is no valid certificate: a start without it would be a silent one. */
export async function secureServer(
  server: Server,
  { certificate: files, requestCertificates = false, reloadMs = RELOAD_MS }: TransportSettings,
  { registry, log }: { readonly registry: Registry; readonly log: Logger },
): Promise<Transport> {
  if (files === undefined) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  let current = await readCertificate(files);
  const metrics = transportMetrics(registry, () => current.notAfter);
  const front = new TlsFront(server, current, {
    requestCertificates,
    onFailure: () => metrics.handshakeFailures.inc(),
  });
  const reloading = keepReloading({
    files,
    current,
    intervalMs: reloadMs,
    log,
    onChange: (certificate) => {
      current = certificate;
      front.replace(certificate);
    },
    onFailure: () => metrics.reloadFailures.inc(),
  });
  return {
    [Symbol.asyncDispose]: async () => {
      await reloading[Symbol.asyncDispose]();
      front[Symbol.dispose]();
    },
  };
}
