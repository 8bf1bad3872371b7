import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Secret } from '#crds/keyring.ts';
import type { IpAddress } from '../access/ip-address.ts';
import { IpRanges } from '../access/ip-ranges.ts';
import { Origins } from '../access/origins.ts';
import type { App } from '../directory/directory.ts';
import { parseQuery } from '../auth/request-signature.ts';
import { SigningKey } from '../auth/signing-key.ts';
import { firstRefusal, gate } from './gate.ts';
import { errorsDocument } from './errors-document.ts';
import { refusals, type RefusalCode } from './refusals.ts';
import { app, http, live, NOW, registered, token, webSocket } from '#test/parts/sample-visits.ts';
import type { HttpVisit, Visit } from './visit.ts';

// Long, because it is a table: a row for each check of the gate, in their order.

/** All stages, as a door runs them. */
const refusal = (visit: Visit): RefusalCode | undefined =>
  firstRefusal(visit, 'arrival') ?? firstRefusal(visit, 'complete') ?? firstRefusal(visit, 'counted');

const off = { bearer: false, keyAndSecret: false, signature: false };
const keySecret = (key: string, secret: string): HttpVisit['credential'] => ({ method: 'keyAndSecret', key, secret });

/** Two secrets under one key, the first of which ends now; and a key of its own that ends now. */
const rotating: App = {
  ...app(),
  keys: [
    { id: 'k1', key: 'appkey', secret: 'first', expiresAt: NOW },
    { id: 'k2', key: 'appkey', secret: 'second', expiresAt: NOW + 1 },
    { id: 'k3', key: 'appkey', secret: 'third', expiresAt: null },
    { id: 'k4', key: 'ended', secret: 'first', expiresAt: NOW },
  ].map((key) => ({
    ...key,
    secret: new Secret(key.secret),
    signingKey: new SigningKey(key.secret),
    pending: key.id === 'k3',
  })),
};
const rotatingWith = (key: string, secret: string): HttpVisit =>
  http({ app: rotating, credential: keySecret(key, secret), token: undefined });

const digest = createHash('md5').update('{}').digest('hex');
const query = `auth_key=appkey&auth_timestamp=${NOW / 1000}&auth_version=1.0&body_md5=${digest}`;
const signature = new SigningKey('appsecret').sign(`POST\n/apps/101/events\n${query}`);
const signed: Partial<HttpVisit> = {
  credential: { method: 'signature', key: 'appkey' },
  token: undefined,
  parameters: parseQuery(`${query}&auth_signature=${signature}`),
};

const officeOnly = app({
  access: { ...app().access, ipAllowlist: new IpRanges([{ address: [1, 2, 3, 0], prefix: 96 }]) },
});
const ownPagesOnly = app({ access: { ...app().access, origins: new Origins(['https://example.com']) } });
const inCountries = (mode: 'Allow' | 'Block'): App =>
  app({ access: { ...app().access, countries: { mode, codes: new Set(['DE']) } } });
const certificatesOnly = app({ access: { ...app().access, clientCertificatesRequired: true } });
const billing: Visit['certificate'] = { sha256: 'ab'.repeat(32) };
const withCertificate = { app: certificatesOnly, certificate: billing, registration: registered() };
const atOffice: IpAddress = [1, 2, 3, 4];
const elsewhere: IpAddress = [1, 2, 4, 4];

/** In the order of the gate: each row fails its own check and, where it can, all later ones too. */
const rows: readonly (readonly [code: RefusalCode | undefined, visit: Visit])[] = [
  [undefined, http()],
  [undefined, http({ credential: keySecret('appkey', 'appsecret'), token: undefined })],
  [undefined, http({ serving: 'draining' })],
  ['directory_not_ready', http({ serving: 'not_ready', app: undefined })],
  ['directory_fenced', http({ serving: 'fenced', app: undefined })],
  ['tls_required', http({ tlsMissing: true, duplicatedHeader: true, app: undefined })],
  ['header_duplicated', http({ duplicatedHeader: true, app: undefined })],
  ['app_unknown', http({ app: undefined, credential: { method: 'none' } })],
  ['app_disabled', http({ app: app({ enabled: false }), credential: { method: 'none' } })],
  ['ip_not_allowed', http({ app: officeOnly, address: elsewhere, credential: { method: 'none' } })],
  ['ip_not_allowed', http({ app: officeOnly, address: undefined })],
  [undefined, http({ app: officeOnly, address: atOffice })],
  ['country_not_allowed', http({ app: inCountries('Allow'), country: 'FR' })],
  ['country_not_allowed', http({ app: inCountries('Allow'), country: undefined })],
  ['country_not_allowed', http({ app: inCountries('Block'), country: 'DE' })],
  [undefined, http({ app: inCountries('Allow'), country: 'DE' })],
  [undefined, http({ app: inCountries('Block'), country: 'FR' })],
  [undefined, http({ app: inCountries('Block'), country: undefined })],
  ['origin_not_allowed', http({ app: ownPagesOnly, origin: 'https://evil.net', credential: { method: 'none' } })],
  ['origin_not_allowed', http({ app: ownPagesOnly, origin: '' })],
  [undefined, http({ app: ownPagesOnly, origin: 'https://example.com' })],
  [undefined, http({ app: ownPagesOnly })],
  ['client_certificate_required', http({ app: certificatesOnly, credential: { method: 'none' } })],
  ['client_certificate_unknown', http({ app: certificatesOnly, certificate: billing, credential: { method: 'none' } })],
  [
    'client_certificate_expired',
    http({ ...withCertificate, registration: registered({ notAfter: NOW }), credential: { method: 'none' } }),
  ],
  [
    'client_certificate_sha1',
    http({ ...withCertificate, certificate: { fault: 'sha1' }, credential: { method: 'none' } }),
  ],
  [
    'client_certificate_unreadable',
    http({ ...withCertificate, certificate: { fault: 'unreadable' }, credential: { method: 'none' } }),
  ],
  [
    'client_certificate_contradictory',
    http({ ...withCertificate, certificate: { fault: 'contradictory' }, credential: { method: 'none' } }),
  ],
  [undefined, http(withCertificate)],
  [undefined, http({ ...withCertificate, registration: registered({ notAfter: NOW + 1 }) })],
  // An app that asks for none looks at none.
  [undefined, http({ certificate: { fault: 'sha1' }, registration: registered({ notAfter: NOW }) })],
  ['authentication_required', http({ credential: { method: 'none' }, app: app({ authentication: off }) })],
  [
    'authentication_scheme_unsupported',
    http({ credential: { method: 'otherScheme' }, app: app({ authentication: off }) }),
  ],
  ['authentication_ambiguous', http({ credential: { method: 'ambiguous' }, app: app({ authentication: off }) })],
  ['method_disabled', http({ app: app({ authentication: off }), token: undefined })],
  ['method_disabled', http({ app: app({ authentication: off }), credential: keySecret('x', 'y') })],
  ['method_disabled', http({ app: app({ authentication: off }), credential: { method: 'signature', key: 'x' } })],
  ['key_unknown', http({ credential: { method: 'signature', key: 'x' } })],
  ['token_unknown', http({ token: undefined, announcedBytes: 1e9 })],
  ['token_expired', http({ token: token({ expiresAt: NOW, appId: '102' }) })],
  [undefined, http({ token: token({ expiresAt: NOW + 1 }) })],
  [undefined, http({ token: token({ expiresAt: NOW - 1, rotated: true, graceUntil: NOW + 1 }) })],
  ['token_expired', http({ token: token({ expiresAt: NOW - 1, rotated: true, graceUntil: NOW }) })],
  ['token_expired', http({ token: token({ expiresAt: 0, graceUntil: null }) })],
  ['token_of_other_app', http({ token: token({ appId: '102' }), announcedBytes: 1e9 })],
  ['scope_missing', http({ token: token({ scopes: [] }), announcedBytes: 1e9 })],
  ['scope_missing', http({ token: token({ scopes: ['events:batch', 'channels:*'] }) })],
  [undefined, http({ token: token({ scopes: ['events:publish'] }) })],
  [undefined, http({ token: token({ scopes: ['events:*'] }) })],
  ['key_or_secret_wrong', rotatingWith('appkey', 'first')],
  [undefined, rotatingWith('appkey', 'second')],
  [undefined, rotatingWith('appkey', 'third')],
  ['key_or_secret_wrong', rotatingWith('appkey', '')],
  ['key_or_secret_wrong', rotatingWith('ended', 'first')],
  ['key_unknown', http({ app: rotating, credential: { method: 'signature', key: 'ended' } })],
  [undefined, webSocket({ app: rotating })],
  ['key_unknown', webSocket({ app: rotating, credential: { method: 'publicKey', key: 'ended' } })],
  [undefined, live({ app: rotating })],
  ['key_unknown', live({ app: rotating, credential: { method: 'publicKey', key: 'ended' } })],
  ['key_or_secret_wrong', http({ credential: keySecret('appkey', 'wrong') })],
  ['key_or_secret_wrong', http({ credential: keySecret('wrong', 'appsecret') })],
  // The secret of a key that does not exist is not the empty one.
  ['key_or_secret_wrong', http({ credential: keySecret('wrong', '') })],
  [
    'signature_version_unsupported',
    http({
      credential: { method: 'signature', key: 'appkey' },
      parameters: [['auth_key', 'appkey']],
      announcedBytes: 1e9,
      withinRate: false,
    }),
  ],
  ['body_too_large', http({ announcedBytes: 1e9 })],
  ['body_digest_invalid', http({ ...signed, body: Buffer.from('{"a":1}'), withinRate: false })],
  [undefined, http(signed)],
  ['rate_limited', http({ withinRate: false })],
  // Who cannot prove who they are spends nothing, and does not learn that others did.
  ['token_unknown', http({ token: undefined, withinRate: false })],

  [undefined, webSocket()],
  ['draining', webSocket({ serving: 'draining' })],
  ['directory_not_ready', webSocket({ serving: 'not_ready' })],
  ['tls_required', webSocket({ tlsMissing: true, protocol: undefined, app: undefined })],
  ['header_duplicated', webSocket({ duplicatedHeader: true, protocol: undefined, app: undefined })],
  ['protocol_missing', webSocket({ protocol: undefined, app: undefined })],
  ['protocol_unsupported', webSocket({ protocol: '3' })],
  ['protocol_unsupported', webSocket({ protocol: '07' })],
  ['app_unknown', webSocket({ app: undefined })],
  ['app_disabled', webSocket({ app: app({ enabled: false }) })],
  ['ip_not_allowed', webSocket({ app: officeOnly, address: elsewhere, credential: { method: 'publicKey', key: 'x' } })],
  [undefined, webSocket({ app: officeOnly, address: atOffice })],
  ['country_not_allowed', webSocket({ app: inCountries('Allow'), country: 'FR' })],
  ['country_not_allowed', webSocket({ app: inCountries('Allow'), country: undefined })],
  ['country_not_allowed', webSocket({ app: inCountries('Block'), country: 'DE' })],
  [undefined, webSocket({ app: inCountries('Allow'), country: 'DE' })],
  [undefined, webSocket({ app: inCountries('Block'), country: 'FR' })],
  [undefined, webSocket({ app: inCountries('Block'), country: undefined })],
  ['origin_not_allowed', webSocket({ app: ownPagesOnly, origin: 'https://evil.net' })],
  ['origin_not_allowed', webSocket({ app: ownPagesOnly, origin: '' })],
  [undefined, webSocket({ app: ownPagesOnly, origin: 'https://example.com' })],
  [undefined, webSocket({ app: ownPagesOnly })],
  ['client_certificate_required', webSocket({ app: certificatesOnly, withinRate: false })],
  ['client_certificate_unknown', webSocket({ app: certificatesOnly, certificate: billing, withinRate: false })],
  [
    'client_certificate_expired',
    webSocket({ ...withCertificate, registration: registered({ notAfter: NOW }), withinRate: false }),
  ],
  ['client_certificate_sha1', webSocket({ ...withCertificate, certificate: { fault: 'sha1' }, withinRate: false })],
  [
    'client_certificate_unreadable',
    webSocket({ ...withCertificate, certificate: { fault: 'unreadable' }, withinRate: false }),
  ],
  [
    'client_certificate_contradictory',
    webSocket({ ...withCertificate, certificate: { fault: 'contradictory' }, withinRate: false }),
  ],
  [undefined, webSocket(withCertificate)],
  [undefined, webSocket({ ...withCertificate, registration: registered({ notAfter: NOW + 1 }) })],
  // An app that asks for none looks at none.
  [undefined, webSocket({ certificate: { fault: 'sha1' }, registration: registered({ notAfter: NOW }) })],
  ['rate_limited', webSocket({ withinRate: false, withinQuota: false })],
  ['connection_quota', webSocket({ withinQuota: false })],

  [undefined, live()],
  [undefined, live({ serving: 'not_ready' })],
  ['directory_fenced', live({ serving: 'fenced' })],
  ['app_unknown', live({ app: undefined })],
  ['app_disabled', live({ app: app({ enabled: false }) })],
  ['ip_not_allowed', live({ app: officeOnly, address: elsewhere })],
  [undefined, live({ app: officeOnly, address: atOffice })],
  ['country_not_allowed', live({ app: inCountries('Allow'), country: 'FR' })],
  ['country_not_allowed', live({ app: inCountries('Allow'), country: undefined })],
  ['country_not_allowed', live({ app: inCountries('Block'), country: 'DE' })],
  [undefined, live({ app: inCountries('Allow'), country: 'DE' })],
  [undefined, live({ app: inCountries('Block'), country: 'FR' })],
  [undefined, live({ app: inCountries('Block'), country: undefined })],
  ['origin_not_allowed', live({ app: ownPagesOnly, origin: 'https://evil.net' })],
  ['origin_not_allowed', live({ app: ownPagesOnly, origin: '' })],
  [undefined, live({ app: ownPagesOnly, origin: 'https://example.com' })],
  [undefined, live({ app: ownPagesOnly })],
  ['client_certificate_required', live({ app: certificatesOnly, credential: { method: 'publicKey', key: 'gone' } })],
  [
    'client_certificate_unknown',
    live({ app: certificatesOnly, certificate: billing, credential: { method: 'publicKey', key: 'gone' } }),
  ],
  [
    'client_certificate_expired',
    live({
      ...withCertificate,
      registration: registered({ notAfter: NOW }),
      credential: { method: 'publicKey', key: 'gone' },
    }),
  ],
  [
    'client_certificate_sha1',
    live({ ...withCertificate, certificate: { fault: 'sha1' }, credential: { method: 'publicKey', key: 'gone' } }),
  ],
  [
    'client_certificate_unreadable',
    live({
      ...withCertificate,
      certificate: { fault: 'unreadable' },
      credential: { method: 'publicKey', key: 'gone' },
    }),
  ],
  [
    'client_certificate_contradictory',
    live({
      ...withCertificate,
      certificate: { fault: 'contradictory' },
      credential: { method: 'publicKey', key: 'gone' },
    }),
  ],
  [undefined, live(withCertificate)],
  [undefined, live({ ...withCertificate, registration: registered({ notAfter: NOW + 1 }) })],
  // An app that asks for none looks at none.
  [undefined, live({ certificate: { fault: 'sha1' }, registration: registered({ notAfter: NOW }) })],
  ['key_unknown', live({ credential: { method: 'publicKey', key: 'gone' }, relayTokensAccepted: false })],
  ['token_revoked', live({ relayTokensAccepted: false })],
];

describe('the gate', () => {
  test.each(rows)('%s', (code, visit) => {
    expect(refusal(visit)).toBe(code);
  });

  test('every check has a row, and refuses only with codes that it declares', () => {
    for (const row of gate) {
      const atItsDoors = rows.filter(([, { door }]) => row.doors.includes(door));
      const seen = atItsDoors.map(([, visit]) => row.refusal(visit)).filter((code) => code !== undefined);
      expect({ check: row.name, rows: seen.length }).not.toEqual({ check: row.name, rows: 0 });
      for (const code of seen) expect(row.refuses).toContain(code);
    }
  });

  test('what needs a complete visit comes last', () => {
    const stages = gate.map(({ stage }) => stage);
    expect(stages).toEqual(stages.toSorted());
  });

  test('a socket can be refused only with a code that has a close code', () => {
    for (const row of gate) {
      if (!row.doors.includes('live') && !row.doors.includes('websocket')) continue;
      for (const code of row.refuses) expect({ code, close: refusals[code].close }).not.toEqual({ code, close: null });
    }
  });

  test('whatever is wrong besides, no door opens for a wrong credential', () => {
    const wrong = fc.constantFrom<HttpVisit['credential']>(
      { method: 'none' },
      { method: 'ambiguous' },
      { method: 'otherScheme' },
      { method: 'bearer', sha256: 'x' },
      keySecret('appkey', ''),
      keySecret('', ''),
      { method: 'signature', key: 'appkey' },
      { method: 'signature', key: '' },
    );
    fc.assert(
      fc.property(wrong, fc.boolean(), fc.string(), fc.uint8Array(), (credential, draining, path, body) => {
        const serving = draining ? 'draining' : 'yes';
        expect(refusal(http({ credential, token: undefined, serving, path, body: Buffer.from(body) }))).toBeDefined();
      }),
    );
  });
});

test('docs/errors.md lists exactly the codes of refusals.ts (write it with: npx node relay/gate/errors-document.ts)', () => {
  expect(readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')).toBe(errorsDocument());
});
