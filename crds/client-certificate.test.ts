import { describe, expect, test } from 'vitest';
import { API_VERSION } from './api-group.ts';
import { defaultedCertificate } from './client-certificate.ts';
import { formatPath, validateManifest, validateUpdate } from './validate.ts';

const HEX = 'ab'.repeat(32);
const errorsOf = (spec: object): string[] => {
  const metadata = { name: 'billing' };
  const result = validateManifest({
    apiVersion: API_VERSION,
    kind: 'ClientCertificate',
    metadata,
    spec: { appRef: { name: 'shop' }, ...spec },
  });
  return result.ok ? [] : result.errors.map(({ path, message }) => `${formatPath(path)}: ${message}`);
};
const issue = (more: object = {}) => ({ issue: { issuerRef: { name: 'internal-ca' }, ...more } });
const fingerprint = (sha256: string) => ({ fingerprint: { sha256 } });

describe('ClientCertificate', () => {
  test.each([
    ['a fingerprint', fingerprint(HEX)],
    ['capitals and colons', fingerprint('AB:'.repeat(31) + 'AB')],
    ['with an end', { fingerprint: { sha256: HEX, notAfter: '2027-01-01T00:00:00+02:00' } }],
    ['a PEM', { certificate: { pem: '-----BEGIN CERTIFICATE-----' } }],
    ['a Secret', { certificate: { secretRef: { name: 'partner' } } }],
    ['an issuer', issue()],
    ['RSA', issue({ privateKey: { algorithm: 'RSA', size: 4096 } })],
    ['Ed25519', issue({ privateKey: { algorithm: 'Ed25519' } })],
    ['a size of the default algorithm', issue({ privateKey: { size: 521 } })],
    ['durations', issue({ duration: '1h', renewBefore: '59m59s' })],
  ])('%s is taken', (_, spec) => {
    expect(errorsOf(spec)).toEqual([]);
  });

  const ONE_OF = 'spec: set exactly one of issue, certificate and fingerprint, found an object';
  const SIZE =
    'spec.issue.privateKey: size must be 2048, 3072 or 4096 with algorithm RSA, 256, 384 or 521 with ECDSA (the default), and absent with Ed25519, found an object';
  test.each([
    ['none of the three', {}, ONE_OF],
    ['two of them', { ...issue(), ...fingerprint(HEX) }, ONE_OF],
    [
      'neither PEM nor Secret',
      { certificate: {} },
      'spec.certificate: set exactly one of pem and secretRef, found an object',
    ],
    [
      'a SHA-1',
      fingerprint('ab'.repeat(20)),
      'spec.fingerprint.sha256: must be a SHA-256 fingerprint, 64 hex digits with or without colons: what openssl x509 -noout -fingerprint -sha256 prints after the =; 40 digits are a SHA-1, found "abababababababababababababababababababab"',
    ],
    ['days', issue({ duration: '90d' }), 'write 2160h instead of 90d, found "90d"'],
    [
      'half an hour',
      issue({ duration: '30m' }),
      'spec.issue.duration: must be at least 1h: cert-manager takes no less, found "30m"',
    ],
    [
      'a renewal before the beginning',
      issue({ duration: '2h', renewBefore: '2h' }),
      'spec.issue: renewBefore must be shorter than duration (2160h when that is left out), found an object',
    ],
    [
      'the same with the default',
      issue({ renewBefore: '2160h' }),
      'spec.issue: renewBefore must be shorter than duration (2160h when that is left out), found an object',
    ],
    ['a size of another algorithm', issue({ privateKey: { algorithm: 'RSA', size: 256 } }), SIZE],
    ['a size of Ed25519', issue({ privateKey: { algorithm: 'Ed25519', size: 256 } }), SIZE],
  ])('%s is refused with the field and what to write', (_, spec, message) => {
    expect(errorsOf(spec)).toEqual([expect.stringContaining(message)]);
  });

  test('a private key is refused before anything stores it, and not repeated', () => {
    const pem = '-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----';
    const [error, ...others] = errorsOf({ certificate: { pem } });
    expect(others).toEqual([]);
    expect(error).toContain('spec.certificate: pem holds a private key');
    expect(error).not.toContain('Y2FuYXJ5');
  });

  test('appRef is immutable; what certifies may change', () => {
    const stored = { appRef: { name: 'shop' }, ...fingerprint(HEX) };
    const update = (spec: object) =>
      validateUpdate('ClientCertificate', spec, stored).map(({ path }) => formatPath(path));
    expect(update({ ...stored, appRef: { name: 'other' } })).toEqual(['spec.appRef.name']);
    expect(update({ appRef: { name: 'shop' }, ...issue() })).toEqual([]);
  });

  test('defaults: a fingerprint in one form, and what cert-manager is asked for', () => {
    const appRef = { name: 'shop' };
    expect(defaultedCertificate('billing', { appRef, ...fingerprint(`${'AB:'.repeat(31)}AB`) })).toEqual({
      appName: 'shop',
      source: { kind: 'fingerprint', sha256: HEX, notAfter: null },
      revoked: false,
    });
    expect(defaultedCertificate('billing', { appRef, ...issue() }).source).toEqual({
      kind: 'issue',
      issuerRef: { name: 'internal-ca', kind: 'Issuer', group: 'cert-manager.io' },
      commonName: 'billing',
      durationMs: 2_160 * 3_600_000,
      renewBeforeMs: 720 * 3_600_000,
      secretName: 'billing-mtls',
      privateKey: { algorithm: 'ECDSA', size: 256 },
    });
  });
});
