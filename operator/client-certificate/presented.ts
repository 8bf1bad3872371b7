import { X509Certificate } from 'node:crypto';
import forge from 'node-forge';
import { REASON } from '#crds/conditions.ts';
import type { Caution } from '../reconcile/conditions.ts';

/** A certificate as it is presented in a TLS handshake. Times in epoch ms; null: not known. */
export type Presented = {
  /** SHA-256 of its DER: 64 hex digits in lower case. */
  readonly sha256: string;
  readonly notBefore: number | null;
  readonly notAfter: number | null;
};

/** Why a text is no client certificate; `message` begins with where it came from. */
export type Unusable = Caution;

/**
 * The one client certificate of a PEM text (RFC 7468), e.g. of `spec.certificate.pem`.
 * node-forge takes the text apart and checks that each block is DER; what is in a certificate is read by node:crypto, because forge
 * understands RSA keys only and refuses the ECDSA and Ed25519 certificates that most clients have.
 * @param where what the text is, at the beginning of messages; they never repeat the text
 */
export function presentedIn(text: string, where: string): Presented | Unusable {
  const blocks = pemBlocks(text);
  if (blocks.some(({ type }) => type.endsWith('PRIVATE KEY'))) {
    const message = `${where} holds a private key: leave only the certificate there, and take a new key, for this one was shown`;
    return { reason: REASON.PrivateKeyInside, message };
  }
  const [first, ...others] = blocks.filter(({ type }) => type === 'CERTIFICATE');
  if (first === undefined) {
    const found = blocks.length === 0 ? 'no PEM' : `a block of type ${blocks[0]?.type}`;
    return unreadable(
      where,
      `is ${found}: expected one block from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----`,
    );
  }
  if (others.length > 0) {
    const message = `${where} holds ${others.length + 1} certificates: leave only the client's own, usually the first; who signed it does not matter to the relay`;
    return { reason: REASON.CertificateChain, message };
  }
  return certificateOf(first.der, where);
}

/** The first certificate of a text: what a server or a client presents for itself, followed by those that vouch for it. */
export function leafIn(text: string, where: string): Presented | Unusable {
  const leaf = pemBlocks(text).find(({ type }) => type === 'CERTIFICATE');
  return leaf === undefined ? unreadable(where, 'holds no certificate') : certificateOf(leaf.der, where);
}

function certificateOf(der: Buffer, where: string): Presented | Unusable {
  const certificate = parsed(der);
  if (certificate === undefined) return unreadable(where, 'is damaged: it is PEM, and no X.509 certificate is in it');
  if (certificate.ca) {
    const message = `${where} is the certificate of an authority (CA:TRUE): name the client's own (openssl req -x509 makes an authority unless it is told -addext basicConstraints=critical,CA:FALSE)`;
    return { reason: REASON.CertificateAuthority, message };
  }
  return {
    sha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
  };
}

function pemBlocks(text: string): readonly { readonly type: string; readonly der: Buffer }[] {
  try {
    return forge.pem.decode(text).map(({ type, body }) => ({ type, der: Buffer.from(body, 'binary') }));
  } catch {
    // "Invalid PEM formatted message": none at all.
    return [];
  }
}

function parsed(der: Buffer): X509Certificate | undefined {
  try {
    // Strict: no bytes may follow, or two readers could take the fingerprint of different bytes.
    forge.asn1.fromDer(forge.util.createBuffer(der.toString('binary')));
    return new X509Certificate(der);
  } catch {
    // Damaged: the condition says which block, and what the library says of its bytes would help nobody.
    return undefined;
  }
}

function unreadable(where: string, what: string): Unusable {
  return { reason: REASON.CertificateUnreadable, message: `${where} ${what}` };
}
