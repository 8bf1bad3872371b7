import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { certificateAuthority } from '#test/parts/certificate.ts';
import { leafIn, presentedIn } from './presented.ts';

// testdata/certificates were made by OpenSSL: openssl req -x509 -newkey … -nodes -days 36500 -addext basicConstraints=critical,CA:FALSE
const pem = (name: string): string =>
  readFileSync(join(import.meta.dirname, `testdata/certificates/${name}.pem`), 'utf8');
const WHERE = 'spec.certificate.pem';
const problem = (text: string): string => {
  const read = presentedIn(text, WHERE);
  return 'reason' in read ? `${read.reason}: ${read.message}` : 'none';
};
const KEY = '-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n';

describe('the certificate of a PEM text', () => {
  test.each(['rsa', 'ecdsa', 'ed25519'])('%s: the SHA-256 of its DER, and from when to when', (name) => {
    const text = pem(name);
    const { raw, validFromDate, validToDate } = new X509Certificate(text);
    expect(presentedIn(text, WHERE)).toEqual({
      sha256: createHash('sha256').update(raw).digest('hex'),
      notBefore: validFromDate.getTime(),
      notAfter: validToDate.getTime(),
    });
  });

  test('text around it, Windows line ends and a missing newline at the end make no difference', () => {
    const text = pem('ecdsa');
    for (const other of [`subject=CN=x\n${text}`, text.replaceAll('\n', '\r\n'), text.trimEnd()])
      expect(presentedIn(other, WHERE)).toEqual(presentedIn(text, WHERE));
  });

  test.each([
    ['nothing', '', 'CertificateUnreadable: spec.certificate.pem is no PEM: expected one block from'],
    ['a word', 'hello', 'CertificateUnreadable: spec.certificate.pem is no PEM: expected one block from'],
    [
      'another block',
      KEY.replaceAll('PRIVATE KEY', 'PUBLIC KEY'),
      'CertificateUnreadable: spec.certificate.pem is a block of type PUBLIC KEY: expected one block from',
    ],
    [
      'a block that is no certificate',
      KEY.replaceAll('PRIVATE KEY', 'CERTIFICATE'),
      'CertificateUnreadable: spec.certificate.pem is damaged: it is PEM, and no X.509 certificate is in it',
    ],
    [
      'a certificate that ends early',
      pem('ecdsa').replace(/\n[^\n]+\n-----END/, '\n-----END'),
      'CertificateUnreadable: spec.certificate.pem is damaged',
    ],
    [
      'a chain',
      pem('ecdsa') + pem('authority'),
      "CertificateChain: spec.certificate.pem holds 2 certificates: leave only the client's own",
    ],
    [
      'an authority',
      pem('authority'),
      'CertificateAuthority: spec.certificate.pem is the certificate of an authority (CA:TRUE)',
    ],
    [
      'its key beside it',
      pem('ecdsa') + KEY,
      'PrivateKeyInside: spec.certificate.pem holds a private key: leave only the certificate there, and take a new key',
    ],
    [
      'a key alone, of any form',
      KEY.replaceAll('PRIVATE', 'EC PRIVATE'),
      'PrivateKeyInside: spec.certificate.pem holds a private key',
    ],
  ])('%s is refused, and the message names the field and the fix', (_, text, expected) => {
    expect(problem(text)).toContain(expected);
    expect(problem(text)).not.toContain('Y2FuYXJ5');
  });

  test('bytes behind the certificate are refused: two readers could take the fingerprint of different bytes', () => {
    const der = Buffer.concat([new X509Certificate(pem('ecdsa')).raw, Buffer.from([0])]);
    const longer = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`;
    expect(problem(longer)).toContain('CertificateUnreadable');
  });
});

describe('the leaf of what cert-manager writes', () => {
  test('is the first one, whatever follows', () => {
    const authority = certificateAuthority();
    const { cert } = authority.issue('billing');
    expect(leafIn(cert + authority.cert, 'key tls.crt of Secret x')).toEqual(presentedIn(cert, WHERE));
  });

  test('an empty or missing one is said', () => {
    expect(leafIn('', 'key tls.crt of Secret x')).toEqual({
      reason: 'CertificateUnreadable',
      message: 'key tls.crt of Secret x holds no certificate',
    });
  });
});
