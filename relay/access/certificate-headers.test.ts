import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  CERTIFICATE_HEADERS,
  parseCertificateHeaders,
  presentedIn,
  type CertificateHeader,
} from './certificate-headers.ts';
import { readFingerprint } from './presented-certificate.ts';

// Whether these bytes are a certificate shows when it is looked up; real ones are in test/integration/relay/client-certificates.test.ts.
const der = Buffer.from(Array.from({ length: 700 }, (_, at) => (at * 37 + 11) & 255));
const base64 = der.toString('base64');
const digest = createHash('sha256').update(der).digest();
const sha256 = digest.toString('hex');
const sha1 = createHash('sha1').update(der).digest();
const colons = (hex: string): string => hex.match(/../g)?.join(':') ?? '';
const pem = (lineEnd: string): string =>
  ['-----BEGIN CERTIFICATE-----', ...(base64.match(/.{1,64}/g) ?? []), '-----END CERTIFICATE-----', ''].join(lineEnd);
const escaped = encodeURIComponent(pem('\n'));
const other = 'cd'.repeat(32);

const said = (headers: Record<string, string>, names: readonly CertificateHeader[] = CERTIFICATE_HEADERS) =>
  presentedIn(headers, names);

describe('a fingerprint', () => {
  test.each([
    sha256,
    sha256.toUpperCase(),
    colons(sha256),
    colons(sha256.toUpperCase()),
    digest.toString('base64'),
    digest.toString('base64').replace('=', ''),
    digest.toString('base64url'),
  ])('is read as %s', (text) => {
    expect(readFingerprint(text)).toEqual({ sha256 });
  });

  test.each([
    sha1.toString('hex'),
    sha1.toString('hex').toUpperCase(),
    colons(sha1.toString('hex')),
    sha1.toString('base64'),
    sha1.toString('base64url').replace('=', ''),
  ])('is told to be a SHA-1: %s', (text) => {
    expect(readFingerprint(text)).toEqual({ fault: 'sha1' });
  });

  test.each([
    ['nothing', ''],
    ['an MD5', 'ab'.repeat(16)],
    ['a SHA-512', 'ab'.repeat(64)],
    ['a digit too few', sha256.slice(1)],
    ['a letter that is no digit', `g${sha256.slice(1)}`],
    ['space', ` ${sha256}`],
    ['two of them', `${sha256}, ${sha256}`],
    ['some colons', `${sha256.slice(0, 2)}:${sha256.slice(2)}`],
    ['a colon at the end', `${colons(sha256)}:`],
    ['a name before it', `sha256:${sha256}`],
    ['digits of another script', '１'.repeat(64)],
    ['a zero byte', `${sha256}\0`],
    ['an equals sign too many', `${digest.toString('base64')}==`],
    ['signs that Node skips in base64', digest.toString('base64').replace(/^./, '$&\n')],
  ])('with %s is none', (_, text) => {
    expect(readFingerprint(text)).toEqual({ fault: 'unreadable' });
  });

  test('is read back however it is written, and no other text is taken for one', () => {
    const written = fc
      .tuple(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.constantFrom('hex', 'base64', 'base64url'),
        fc.boolean(),
      )
      .map(([bytes, form, withColons]) => {
        const text = Buffer.from(bytes).toString(form);
        return { hex: Buffer.from(bytes).toString('hex'), text: form === 'hex' && withColons ? colons(text) : text };
      });
    fc.assert(
      fc.property(written, ({ hex, text }) => {
        expect(readFingerprint(text)).toEqual({ sha256: hex });
      }),
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 120 }), (text) => {
        const read = readFingerprint(text);
        if ('sha256' in read) expect(text.length).toBeGreaterThanOrEqual(43);
      }),
    );
  });
});

describe('a header', () => {
  test.each<[string, Record<string, string>]>([
    ['a fingerprint', { 'x-client-cert-fingerprint': colons(sha256.toUpperCase()) }],
    ['nginx', { 'x-client-cert': escaped }],
    ['nginx with Windows line ends', { 'x-client-cert': encodeURIComponent(pem('\r\n')) }],
    ['a proxy that leaves plus, slash and equals as they are', { 'x-client-cert': encodeURI(pem('\n')) }],
    ['a proxy that puts spaces where lines ended', { 'x-client-cert': pem(' ') }],
    [
      'a proxy that sends the chain',
      { 'x-client-cert': `${escaped}${encodeURIComponent(pem('\n').replace('y', 'z'))}` },
    ],
    ['ingress-nginx', { 'ssl-client-cert': escaped }],
    ['Traefik', { 'x-forwarded-tls-client-cert': base64 }],
    ['Traefik with the chain', { 'x-forwarded-tls-client-cert': `${base64},${Buffer.from('ca').toString('base64')}` }],
    ['an older Traefik', { 'x-forwarded-tls-client-cert': encodeURIComponent(base64) }],
    ['RFC 9440', { 'client-cert': `:${base64}:` }],
    ['Envoy', { 'x-forwarded-client-cert': `By=spiffe://a/b;Hash=${sha256};Subject="CN=a, O=\\"b\\"";URI=` }],
    ['Envoy that sends the certificate', { 'x-forwarded-client-cert': `Cert="${escaped}"` }],
    ['two that agree', { 'x-client-cert-fingerprint': sha256, 'ssl-client-cert': escaped }],
    ['one beside an empty one', { 'x-client-cert-fingerprint': '', 'ssl-client-cert': escaped }],
  ])('of %s is read', (_, headers) => {
    expect(said(headers)).toEqual({ sha256 });
  });

  test('that is not there, or empty, says that there is no certificate', () => {
    expect(said({})).toBeUndefined();
    expect(said({ 'x-client-cert': '', 'x-client-cert-fingerprint': '' })).toBeUndefined();
  });

  test('that is not among the believed ones is not looked at', () => {
    expect(said({ 'x-client-cert-fingerprint': sha256 }, ['x-client-cert'])).toBeUndefined();
    expect(said({ 'x-client-cert-fingerprint': other, 'x-client-cert': escaped }, ['x-client-cert'])).toEqual({
      sha256,
    });
  });

  test('that contradicts another one refuses both, whichever comes first', () => {
    for (const [one, two] of [
      [sha256, `Hash=${other}`],
      [other, `Hash=${sha256}`],
    ] as const) {
      const headers = { 'x-client-cert-fingerprint': one, 'x-forwarded-client-cert': two };
      expect(said(headers)).toEqual({ fault: 'contradictory' });
    }
  });

  test.each<[string, Record<string, string>, string]>([
    [
      'a SHA-1 beside a certificate',
      { 'x-client-cert-fingerprint': sha1.toString('hex'), 'x-client-cert': escaped },
      'sha1',
    ],
    ['a SHA-1 as hash of Envoy', { 'x-forwarded-client-cert': `Hash=${sha1.toString('hex')}` }, 'sha1'],
    ['rubbish beside a certificate', { 'x-client-cert-fingerprint': 'x', 'x-client-cert': escaped }, 'unreadable'],
    ['a fingerprint where a certificate belongs', { 'x-client-cert': sha256 }, 'unreadable'],
    ['a PEM of something else', { 'x-client-cert': escaped.replaceAll('CERTIFICATE', 'PRIVATE%20KEY') }, 'unreadable'],
    ['something before the PEM', { 'x-client-cert': `a${escaped}` }, 'unreadable'],
    ['half of the PEM', { 'x-client-cert': escaped.slice(0, 600) }, 'unreadable'],
    ['a percent sign too many', { 'x-client-cert': `${escaped}%` }, 'unreadable'],
    ['a PEM twice encoded', { 'x-client-cert': encodeURIComponent(escaped) }, 'unreadable'],
    ['an empty PEM', { 'x-client-cert': '-----BEGIN CERTIFICATE----- -----END CERTIFICATE-----' }, 'unreadable'],
    ['what Apache says for none', { 'x-client-cert': '(null)' }, 'unreadable'],
    ['a list that begins with nothing', { 'x-forwarded-tls-client-cert': `,${base64}` }, 'unreadable'],
    ['no colons', { 'client-cert': base64 }, 'unreadable'],
    ['two of RFC 9440', { 'client-cert': `:${base64}:, :${base64}:` }, 'unreadable'],
    ['no hash and no certificate', { 'x-forwarded-client-cert': 'By=a;URI=b' }, 'unreadable'],
  ])('with %s is refused', (_, headers, fault) => {
    expect(said(headers)).toEqual({ fault });
  });

  test('may hold anything: it never throws, and a certificate is read only where one is', () => {
    const value = fc.oneof(
      fc.string({ maxLength: 200 }),
      fc.string({
        unit: fc.constantFrom(
          '%',
          '"',
          '\\',
          ';',
          ',',
          '=',
          ':',
          'a',
          'F',
          '0',
          ' ',
          'Hash=',
          '-----BEGIN CERTIFICATE-----',
        ),
      }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...CERTIFICATE_HEADERS), value, (name, text) => {
        const read = presentedIn({ [name]: text }, [name]);
        if (text !== '') expect(read).toBeDefined();
      }),
    );
  });

  test('takes linear time', () => {
    const hostile = ['"', 'a="', '\\"', 'a=;', '%41', '-----BEGIN CERTIFICATE-----', 'a:', ' '].map((piece) =>
      piece.repeat(16_384),
    );
    for (const name of CERTIFICATE_HEADERS) for (const text of hostile) expect(said({ [name]: text })).toBeDefined();
  });
});

test('the setting names headers in any case, and none that is not of the list', () => {
  expect(parseCertificateHeaders('X-Client-Cert, ssl-client-cert')).toEqual(['x-client-cert', 'ssl-client-cert']);
  for (const text of ['', 'x-ssl-cert', 'x-client-cert,', 'toString']) {
    expect(() => parseCertificateHeaders(text)).toThrow(/expected x-client-cert-fingerprint, x-forwarded-client-cert/);
  }
});
