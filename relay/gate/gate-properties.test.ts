import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { IpAddress } from '../access/ip-address.ts';
import { IpRanges } from '../access/ip-ranges.ts';
import { Origins } from '../access/origins.ts';
import { parseQuery } from '../auth/request-signature.ts';
import { SigningKey } from '../auth/signing-key.ts';
import type { App } from '../directory/directory.ts';
import type { Stage } from './check.ts';
import { firstRefusal, gate } from './gate.ts';
import type { RefusalCode } from './refusals.ts';
import { app, http, live, NOW, registered, webSocket } from '#test/parts/sample-visits.ts';
import type { HttpVisit, Visit } from './visit.ts';

const STAGES: readonly Stage[] = ['arrival', 'complete', 'counted'];
const refusal = (visit: Visit): RefusalCode | undefined =>
  STAGES.map((stage) => firstRefusal(visit, stage)).find((code) => code !== undefined);

const md5 = createHash('md5').update('{}').digest('hex');
const query = `auth_key=appkey&auth_timestamp=${NOW / 1000}&auth_version=1.0&body_md5=${md5}`;
const signature = new SigningKey('appsecret').sign(`POST\n/apps/101/events\n${query}`);
const signed: Partial<HttpVisit> = {
  credential: { method: 'signature', key: 'appkey' },
  token: undefined,
  parameters: parseQuery(`${query}&auth_signature=${signature}`),
};

/** Visits that pass, by how they come. */
const passing = {
  bearer: http(),
  keyAndSecret: http({ credential: { method: 'keyAndSecret', key: 'appkey', secret: 'appsecret' }, token: undefined }),
  signature: http(signed),
  websocket: webSocket(),
  live: live(),
} satisfies Record<string, Visit>;
type How = keyof typeof passing;
const HTTP: readonly How[] = ['bearer', 'keyAndSecret', 'signature'];
const NEW: readonly How[] = [...HTTP, 'websocket'];
const ALL: readonly How[] = [...NEW, 'live'];

/** One thing that is wrong, whatever else is, and the visits that have it. `code`: what is said of it when it is the first. */
type Fault = {
  readonly check: string;
  readonly code: RefusalCode;
  readonly at: readonly How[];
  readonly spoil: (visit: Visit) => Visit;
};
const changed =
  (change: (one: App) => Partial<App>) =>
  (visit: Visit): Visit => ({ ...visit, app: visit.app && { ...visit.app, ...change(visit.app) } });
const ruled =
  (access: Partial<App['access']>, facts: Partial<Pick<Visit, 'address' | 'country' | 'origin' | 'certificate'>>) =>
  (visit: Visit): Visit => ({ ...changed((one) => ({ access: { ...one.access, ...access } }))(visit), ...facts });
const atHttp =
  (change: Partial<HttpVisit>) =>
  (visit: Visit): Visit =>
    visit.door === 'http' ? { ...visit, ...change } : visit;

const office = new IpRanges([{ address: [0, 0, 0xffff, 0xcb007100], prefix: 120 }]);
const elsewhere: IpAddress = [0x20010db8, 0, 0, 1];
const noMethod = { bearer: false, keyAndSecret: false, signature: false };

/** In the order that is promised: what stands first is told first. A check that moves in gate.ts moves here too, on purpose. */
const faults: readonly Fault[] = [
  { check: 'serving', code: 'directory_fenced', at: ALL, spoil: (visit) => ({ ...visit, serving: 'fenced' }) },
  {
    check: 'tls-required',
    code: 'tls_required',
    at: NEW,
    spoil: (visit) => (visit.door === 'live' ? visit : { ...visit, tlsMissing: true }),
  },
  {
    check: 'header-duplicated',
    code: 'header_duplicated',
    at: NEW,
    spoil: (visit) => (visit.door === 'live' ? visit : { ...visit, duplicatedHeader: true }),
  },
  {
    check: 'protocol-version',
    code: 'protocol_missing',
    at: ['websocket'],
    spoil: (visit) => (visit.door === 'websocket' ? { ...visit, protocol: undefined } : visit),
  },
  { check: 'app-known', code: 'app_unknown', at: ALL, spoil: (visit) => ({ ...visit, app: undefined }) },
  { check: 'app-enabled', code: 'app_disabled', at: ALL, spoil: changed(() => ({ enabled: false })) },
  {
    check: 'ip-allowed',
    code: 'ip_not_allowed',
    at: ALL,
    spoil: ruled({ ipAllowlist: office }, { address: elsewhere }),
  },
  {
    check: 'country-allowed',
    code: 'country_not_allowed',
    at: ALL,
    spoil: ruled({ countries: { mode: 'Block', codes: new Set(['FR']) } }, { country: 'FR' }),
  },
  {
    check: 'origin-allowed',
    code: 'origin_not_allowed',
    at: ALL,
    spoil: ruled({ origins: new Origins(['https://example.com']) }, { origin: 'https://evil.net' }),
  },
  {
    check: 'client-certificate',
    code: 'client_certificate_unknown',
    at: ALL,
    spoil: ruled({ clientCertificatesRequired: true }, { certificate: { sha256: 'ab'.repeat(32) } }),
  },
  {
    check: 'credential-present',
    code: 'authentication_required',
    at: HTTP,
    spoil: atHttp({ credential: { method: 'none' } }),
  },
  {
    check: 'method-allowed',
    code: 'method_disabled',
    at: HTTP,
    spoil: changed(() => ({ authentication: noMethod })),
  },
  {
    check: 'key-active',
    code: 'key_unknown',
    at: ['signature', 'websocket', 'live'],
    spoil: changed(() => ({ keys: [] })),
  },
  {
    check: 'bearer-token',
    code: 'token_of_other_app',
    at: ['bearer'],
    spoil: (visit) =>
      visit.door === 'http' && visit.token !== undefined
        ? { ...visit, token: { ...visit.token, appId: '999' } }
        : visit,
  },
  {
    check: 'relay-token-accepted',
    code: 'token_revoked',
    at: ['live'],
    spoil: (visit) => (visit.door === 'live' ? { ...visit, relayTokensAccepted: false } : visit),
  },
  {
    check: 'key-and-secret',
    code: 'key_or_secret_wrong',
    at: ['keyAndSecret'],
    spoil: changed(() => ({ keys: [] })),
  },
  { check: 'request-signature', code: 'signature_invalid', at: ['signature'], spoil: atHttp({ path: '/apps/101/x' }) },
  {
    check: 'token-scope',
    code: 'scope_missing',
    at: ['bearer'],
    spoil: (visit) =>
      visit.door === 'http' && visit.token !== undefined ? { ...visit, token: { ...visit.token, scopes: [] } } : visit,
  },
  { check: 'body-size', code: 'body_too_large', at: HTTP, spoil: atHttp({ announcedBytes: 1e12 }) },
  { check: 'body-digest', code: 'body_digest_invalid', at: ['signature'], spoil: atHttp({ body: Buffer.from('x') }) },
  {
    check: 'rate-limit',
    code: 'rate_limited',
    at: NEW,
    spoil: (visit) => (visit.door === 'live' ? visit : { ...visit, withinRate: false }),
  },
  {
    check: 'connection-quota',
    code: 'connection_quota',
    at: ['websocket'],
    spoil: (visit) => (visit.door === 'websocket' ? { ...visit, withinQuota: false } : visit),
  },
];

describe('order', () => {
  test('is the promised one, of all checks', () => {
    expect(gate.map(({ name }) => name)).toEqual(faults.map(({ check }) => check));
  });

  test.each(ALL)('%s: of all that is wrong, what comes first in the gate is told', (how) => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...faults]), (wrong) => {
        const visit = wrong.reduce<Visit>((spoilt, { spoil }) => spoil(spoilt), passing[how]);
        // `keys: []` stands for two faults; which one it is depends on what else the visit comes with.
        const had = faults.filter((fault) => fault.at.includes(how) && wrong.some(({ spoil }) => same(spoil, fault)));
        expect(refusal(visit)).toBe(had[0]?.code);
      }),
      { numRuns: 1_000 },
    );
  });
  const same = (spoil: Fault['spoil'], fault: Fault): boolean =>
    spoil === fault.spoil ||
    (KEYLESS.has(fault.check) && faults.some((other) => other.spoil === spoil && KEYLESS.has(other.check)));
  const KEYLESS: ReadonlySet<string> = new Set(['key-active', 'key-and-secret']);
});

describe('the rules about who calls', () => {
  const access = fc.record({
    ipAllowlist: fc.constantFrom(null, office, new IpRanges([])),
    countries: fc.constantFrom<App['access']['countries']>(
      null,
      { mode: 'Allow', codes: new Set(['DE']) },
      { mode: 'Block', codes: new Set(['DE']) },
      { mode: 'Allow', codes: new Set() },
    ),
    origins: fc.constantFrom(null, new Origins(['https://example.com']), new Origins([])),
    clientCertificatesRequired: fc.boolean(),
  });
  const facts = fc.record({
    address: fc.constantFrom<(IpAddress | undefined)[]>(undefined, elsewhere, [0, 0, 0xffff, 0xcb007109]),
    country: fc.constantFrom(undefined, 'DE', 'FR'),
    origin: fc.constantFrom(undefined, '', 'null', 'https://example.com', 'https://evil.net'),
    certificate: fc.constantFrom<Visit['certificate'][]>(undefined, { sha256: 'ab'.repeat(32) }, { fault: 'sha1' }),
    registration: fc.constantFrom<Visit['registration'][]>(undefined, registered(), registered({ notAfter: NOW })),
  });

  test('say the same at every door, with every credential', () => {
    fc.assert(
      fc.property(access, facts, fc.boolean(), (rules, seen, enabled) => {
        const one = app({ enabled, access: rules });
        const verdicts = ALL.map((how) => refusal({ ...passing[how], ...seen, app: one }));
        expect(new Set(verdicts).size).toBe(1);
      }),
    );
  });

  test('only ever take away: whoever is let in with all of them is let in with each of them', () => {
    fc.assert(
      fc.property(access, facts, fc.constantFrom(...ALL), (rules, seen, how) => {
        const with_ = (some: Partial<App['access']>): RefusalCode | undefined =>
          refusal({ ...passing[how], ...seen, app: app({ access: { ...app().access, ...some } }) });
        const alone = [
          with_({ ipAllowlist: rules.ipAllowlist }),
          with_({ countries: rules.countries }),
          with_({ origins: rules.origins }),
          with_({ clientCertificatesRequired: rules.clientCertificatesRequired }),
        ];
        expect(with_(rules)).toBe(alone.find((code) => code !== undefined));
      }),
    );
  });
});
