import { expect, test } from 'vitest';
import { defaultedAccess } from './access.ts';
import { API_VERSION } from './api-group.ts';
import { COUNTRY_CODES } from './country-codes.ts';
import { formatPath, validateManifest } from './validate.ts';

// What the API server says of the same mistakes is in test/e2e/kubernetes-world.test.ts.

const errorsOf = (access: object): string[] => {
  const result = validateManifest({
    apiVersion: API_VERSION,
    kind: 'RelayApp',
    metadata: { name: 'a' },
    spec: { access },
  });
  return result.ok ? [] : result.errors.map(({ path, message }) => `${formatPath(path)}: ${message}`);
};

test.each([
  '0.0.0.0/0',
  '198.51.100.7',
  '203.0.113.255/31',
  '::',
  '::/0',
  '::1',
  '2001:db8::',
  '2001:DB8:0:0:0:0:0:1',
  '1:2:3:4:5:6:7::',
  '::2:3:4:5:6:7:8/128',
  '1::8',
  '1:2::7:8/64',
  '1:2:3:4:5:6::8',
  '1::3:4:5:6:7:8',
])('%s may be on an allowlist', (range) => {
  expect(errorsOf({ ipAllowlist: [range] })).toEqual([]);
});

test.each([
  '',
  '1.2.3',
  '1.2.3.256',
  '01.2.3.4',
  '1.2.3.4/33',
  '1.2.3.4/08',
  '1.2.3.4/',
  ' 1.2.3.4',
  '1.2.3.4\n',
  'fe80::1%eth0',
  '::ffff:1.2.3.4',
  '1::2::3',
  '1:2:3:4::5:6:7:8',
  '1:2:3:4:5:6:7:8::',
  '::1:2:3:4:5:6:7:8',
  ':1',
  '1:',
  ':::',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '::/129',
  '[::1]',
  'localhost',
  '10.0.0.1-10.0.0.9',
])('%j may not', (range) => {
  expect(errorsOf({ ipAllowlist: ['1.2.3.4', range] })).toEqual([
    expect.stringMatching(/^spec\.access\.ipAllowlist\[1\]: must be an address such as 198\.51\.100\.7 or/),
  ]);
});

test.each([
  'https://example.com',
  'https://*.example.com',
  'HTTPS://Shop.Example.com:8443',
  'http://localhost:3000',
  'http://[::1]:3000',
  'capacitor://localhost',
  'null',
])('%s may be among the origins', (origin) => {
  expect(errorsOf({ origins: [origin] })).toEqual([]);
});

test.each([
  '*',
  'https://*',
  'https://*.',
  'example.com',
  '//example.com',
  'https://example.com/',
  'https://example.com/app',
  'https://user@example.com',
  'https://shop*.example.com',
  'https://*.*.example.com',
  'https://example.com:*',
  'https://example..com',
  'https://bücher.example',
  'https://example.com\n',
  '',
])('%j may not be among the origins', (origin) => {
  expect(errorsOf({ origins: [origin] })).toEqual([
    expect.stringMatching(/^spec\.access\.origins\[0\]: must be an origin such as https:\/\/example\.com/),
  ]);
});

test('countries are ISO codes, of a list that is to be let in or kept out', () => {
  expect(errorsOf({ countries: { mode: 'Allow', codes: ['DE', 'GB', 'XK'] } })).toEqual([]);
  expect(errorsOf({ countries: { mode: 'Block', codes: [...COUNTRY_CODES] } })).toEqual([]);
  for (const code of ['UK', 'de', 'D', '', 'EU'])
    expect(errorsOf({ countries: { mode: 'Allow', codes: [code] } })).toEqual([
      `spec.access.countries.codes[0]: must be an ISO 3166-1 code of two capital letters, such as DE, or GB for the United Kingdom, found "${code}"`,
    ]);
  expect(errorsOf({ countries: { mode: 'Allow', codes: [] } })).toEqual([
    expect.stringMatching(/^spec\.access\.countries\.codes: name at least one country/),
  ]);
  expect(errorsOf({ countries: { codes: ['DE'] } })).toEqual([
    expect.stringMatching(/^spec\.access\.countries\.mode: /),
  ]);
});

test('client certificates are required or not, and whoever mentions them says which', () => {
  for (const required of [true, false]) expect(errorsOf({ clientCertificates: { required } })).toEqual([]);
  for (const value of [{}, { required: 'yes' }])
    expect(errorsOf({ clientCertificates: value })).toEqual([
      expect.stringMatching(/^spec\.access\.clientCertificates\.required: /),
    ]);
  expect(defaultedAccess({ clientCertificates: { required: true } }).clientCertificatesRequired).toBe(true);
  // As in every app that was published before there were any.
  expect(defaultedAccess({ clientCertificates: { required: false } })).toEqual(defaultedAccess(undefined));
});

test('an empty allowlist is refused: nobody could say what was meant', () => {
  expect(errorsOf({ ipAllowlist: [] })).toEqual([
    expect.stringMatching(/^spec\.access\.ipAllowlist: name at least one address/),
  ]);
});

test('10,000 blocks may be listed, and another order is no change', () => {
  const many = Array.from({ length: 10_000 }, (_, at) => `10.${at >> 8}.${at & 255}.0/24`);
  expect(errorsOf({ ipAllowlist: many })).toEqual([]);
  expect(errorsOf({ ipAllowlist: [...many, '1.2.3.4'] })).toEqual([
    'spec.access.ipAllowlist: expected at most 10000 items, found a list',
  ]);
  expect(defaultedAccess({ ipAllowlist: many.toReversed() })).toEqual(defaultedAccess({ ipAllowlist: many }));
});
