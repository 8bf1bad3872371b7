import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { lastElement } from './forwarded-client-cert.ts';
import { base64Bytes, readFingerprint, type PresentedCertificate } from './presented-certificate.ts';

/** How each header says it. A closed list, in docs/mtls.md with the proxies that send them. */
const readers = {
  'x-client-cert-fingerprint': readFingerprint,
  // Envoy and what is built on it.
  'x-forwarded-client-cert': readForwardedClientCert,
  // nginx: $ssl_client_escaped_cert.
  'x-client-cert': readEscapedPem,
  // ingress-nginx: the same under its own name.
  'ssl-client-cert': readEscapedPem,
  // Traefik: the chain as base64 with commas between, the client's first; URL-encoded by its earlier versions.
  'x-forwarded-tls-client-cert': (text: string) => readBase64(unescaped(text)?.split(',', 1)[0] ?? ''),
  // RFC 9440: a byte sequence of RFC 8941, base64 between colons.
  'client-cert': (text: string) => readBase64(/^:([^:]*):$/.exec(text)?.[1] ?? ''),
} as const satisfies Record<string, (text: string) => PresentedCertificate>;

export type CertificateHeader = keyof typeof readers;

const isHeader = (name: string): name is CertificateHeader => Object.hasOwn(readers, name);

export const CERTIFICATE_HEADERS: readonly CertificateHeader[] = Object.keys(readers).filter(isHeader);

/** Reads names with commas between, in any case. Throws an Error that names the first one that is none of these headers. */
export function parseCertificateHeaders(text: string): readonly CertificateHeader[] {
  const names = text.split(',').map((name) => name.trim().toLowerCase());
  return names.map((name) => {
    if (isHeader(name)) return name;
    throw new Error(`expected ${CERTIFICATE_HEADERS.join(', ')}, with commas between`);
  });
}

/**
 * What these headers say together. undefined: none is there, or all are empty, which is how some proxies say that there is no certificate.
 * Any that cannot be read spoils the others, and so do two that differ: a client may have added the one that its proxy does not set.
 */
export function presentedIn(
  headers: IncomingHttpHeaders,
  names: readonly CertificateHeader[],
): PresentedCertificate | undefined {
  let presented: PresentedCertificate | undefined;
  for (const name of names) {
    const value = headers[name];
    if (value === undefined || value === '') continue;
    const read = typeof value === 'string' ? readers[name](value) : { fault: 'unreadable' as const };
    if ('fault' in read) return read;
    if (presented !== undefined && 'sha256' in presented && presented.sha256 !== read.sha256)
      return { fault: 'contradictory' };
    presented = read;
  }
  return presented;
}

/** Only the last proxy is a neighbour whose word counts; what stands before, it may have been told. */
function readForwardedClientCert(text: string): PresentedCertificate {
  const element = lastElement(text);
  if (element?.hash !== undefined) return readFingerprint(element.hash);
  return element?.cert === undefined ? { fault: 'unreadable' } : readEscapedPem(element.cert);
}

// Spaces where lines ended: headers have no lines. Of a chain the first certificate is the client's.
const PEM = /^\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/;

function readEscapedPem(text: string): PresentedCertificate {
  return readBase64(PEM.exec(unescaped(text) ?? '')?.[1]?.replace(/\s+/g, '') ?? '');
}

/** Without its percent signs; a plus is none of them. undefined: not URL-encoded. */
function unescaped(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // Then no certificate is in it: the header counts as unreadable.
    return undefined;
  }
}

/** @param text of the DER. Whether that is a certificate shows when its fingerprint is looked up. */
function readBase64(text: string): PresentedCertificate {
  const der = base64Bytes(text);
  return der === undefined ? { fault: 'unreadable' } : { sha256: createHash('sha256').update(der).digest('hex') };
}
