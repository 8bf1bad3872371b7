import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import forge from 'node-forge';

/** PEM. */
export type Certificate = { readonly cert: string; readonly key: string };

/** The SHA-256 of a certificate, lower-case hex. By OpenSSL: what the relay makes of it is held against this. */
export function fingerprintOf({ cert }: Pick<Certificate, 'cert'>): string {
  return new X509Certificate(cert).fingerprint256.replaceAll(':', '').toLowerCase();
}

export type CertificateAuthority = {
  /** PEM, for whoever trusts it. */
  readonly cert: string;
  /** A certificate for these names (`DNS:a.example`, `IP:127.0.0.1`), for servers and clients alike. @param subject its common name */
  issue(subject: string, ...names: readonly string[]): Certificate;
  /** A client's. @param notAfter epoch ms, whole seconds count */
  issueUntil(notAfter: number, subject: string): Certificate;
};

/** A certificate that signed itself, for these names (`DNS:a.example`, `IP:127.0.0.1`). */
export function selfSigned(...names: readonly string[]): Certificate {
  const keys = keyPair();
  const own = describe('test', keys.publicKey, [{ name: 'basicConstraints', cA: true }, ...alternativeNames(names)]);
  own.setIssuer(own.subject.attributes);
  own.sign(keys.privateKey, forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(own), key: keys.pem };
}

/** An authority of its own for a test. */
export function certificateAuthority(): CertificateAuthority {
  const authority = keyPair();
  const extensions = [
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
  ];
  const own = describe('test authority', authority.publicKey, extensions);
  own.setIssuer(own.subject.attributes);
  own.sign(authority.privateKey, forge.md.sha256.create());
  const signed = (issued: forge.pki.Certificate, key: string): Certificate => {
    issued.setIssuer(own.subject.attributes);
    issued.sign(authority.privateKey, forge.md.sha256.create());
    return { cert: forge.pki.certificateToPem(issued), key };
  };
  return {
    cert: forge.pki.certificateToPem(own),
    issue: (subject, ...names) => {
      const keys = keyPair();
      const usages = { name: 'extKeyUsage', serverAuth: true, clientAuth: true };
      return signed(describe(subject, keys.publicKey, [usages, ...alternativeNames(names)]), keys.pem);
    },
    issueUntil: (notAfter, subject) => {
      const keys = keyPair();
      const issued = describe(subject, keys.publicKey, [{ name: 'extKeyUsage', clientAuth: true }]);
      issued.validity.notAfter = new Date(notAfter);
      return signed(issued, keys.pem);
    },
  };
}

const DAY_MS = 86_400_000;

function describe(subject: string, publicKey: forge.pki.rsa.PublicKey, extensions: object[]): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = publicKey;
  // Positive: the first bit is that of the sign.
  certificate.serialNumber = `01${randomBytes(15).toString('hex')}`;
  certificate.validity.notBefore = new Date(Date.now() - DAY_MS);
  certificate.validity.notAfter = new Date(Date.now() + DAY_MS);
  certificate.setSubject([{ name: 'commonName', value: subject }]);
  certificate.setExtensions(extensions);
  return certificate;
}

/** By OpenSSL: forge's own arithmetic takes a second for a key. */
function keyPair(): {
  readonly publicKey: forge.pki.rsa.PublicKey;
  readonly privateKey: forge.pki.rsa.PrivateKey;
  readonly pem: string;
} {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2_048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return {
    publicKey: forge.pki.publicKeyFromPem(publicKey),
    privateKey: forge.pki.privateKeyFromPem(privateKey),
    pem: privateKey,
  };
}

/** RFC 5280, 4.2.1.6: 2 is a DNS name, 7 an address. */
function alternativeNames(names: readonly string[]): object[] {
  if (names.length === 0) return [];
  const altNames = names.map((name) =>
    name.startsWith('IP:') ? { type: 7, ip: name.slice(3) } : { type: 2, value: name.replace(/^DNS:/, '') },
  );
  return [{ name: 'subjectAltName', altNames }];
}
