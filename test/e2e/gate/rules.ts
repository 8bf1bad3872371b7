import type { Scope } from '#crds/scopes.ts';
import {
  altering,
  announcing,
  anybody,
  basic,
  from,
  guessing,
  inPlaintext,
  nobody,
  ofNoApp,
  ofNoKey,
  ofProtocol,
  page,
  presenting,
  saying,
  sendingTwice,
  twoWays,
  type Caller,
} from './callers.ts';
import type { DoorName, Method, Verdict } from './doors.ts';

/** What a tenant declares: the spec of its RelayApp, of a RelayToken of it, and of a ClientCertificate if it has one. */
export type Declared = { readonly app: object; readonly token: object; readonly certificate?: object };

/** The same at every HTTP door and whatever the credential, or by door, by method, or by both; what is not named lets in. */
export type AtHttp = Verdict | Partial<Record<DoorName | Method | `${DoorName} ${Method}`, Verdict>>;

export function verdictAt(atHttp: AtHttp, door: DoorName, method: Method): Verdict {
  if (typeof atHttp === 'string') return atHttp;
  return atHttp[`${door} ${method}`] ?? atHttp[door] ?? atHttp[method] ?? 'in';
}

/** `—`: there is no such thing at a WebSocket. */
export type AtWebSocket = Verdict | '—';

/** What has happened just before: the app's budgets are spent, or it has a socket. `lost`: at a relay that has no directory. */
export type Situation = 'spent' | 'one socket' | 'lost';

type Row = readonly [
  rule: string,
  declared: Declared,
  who: Caller,
  http: AtHttp,
  socket: AtWebSocket,
  when?: Situation,
];
type ChangeRow = readonly [
  rule: string,
  from: Declared,
  to: Declared,
  who: Caller,
  open: AtWebSocket,
  http: AtHttp,
  socket: AtWebSocket,
];

/** Never an empty spec: where a server-side apply takes back its last field, the API server makes it null and refuses it. */
const app = (spec: object): Declared => ({ app: { displayName: 'Gate', ...spec }, token: {} });
const access = (rule: object): Declared => app({ access: rule });
const countries = (mode: 'Allow' | 'Block', ...codes: string[]): Declared => access({ countries: { mode, codes } });
const token = (...scopes: (Scope | 'events:*')[]): Declared => ({ ...app({}), token: { scopes } });
const without = (method: Method): Declared => app({ authentication: { [method]: false } });
const rate = (requestsPerMinute: number, burst: number): Declared =>
  app({ limits: { rate: { requestsPerMinute, burst } } });
const sockets = (connections: number): Declared => app({ limits: { connections } });
const scanning = (mode: 'Reject' | 'Redact'): Declared => app({ secretScanning: { mode } });

const office = access({ ipAllowlist: ['203.0.113.0/24', '2001:db8:1::/48'] });
const own = access({ origins: ['https://*.example.com'] });
const none = app({});
const known = 'c0'.repeat(32);
const certified = {
  ...access({ clientCertificates: { required: true } }),
  certificate: { fingerprint: { sha256: known, notAfter: '2099-01-01T00:00:00Z' } },
};
/** Registered first: who is let in by a rule must be known before it. */
const registered = { ...none, certificate: certified.certificate };
const certificateRevoked = { ...certified, certificate: { ...certified.certificate, revoked: true } };
const enabled = app({ enabled: true });
const disabled = app({ enabled: false });
const germany = '203.0.113.9';
const france = '198.51.100.7';
const nowhere = '192.0.2.1';
const card = saying('4111 1111 1111 1111');
const rejected = { events: '422 secret_found', 'api events': '422 secret_found', batch: '422 secret_found' } as const;
const everything = token('events:*', 'channels:read', 'channels:manage', 'connections:manage');
const lacking = { bearer: '403 scope_missing' } as const;

/**
 * Every rule: who is let in and who is not, at every HTTP door with every way to authenticate, and at the WebSocket. A new rule has at least
 * one row of each; gate.test.ts fails while a check of the gate has none.
 */
// oxfmt-ignore
export const rules: readonly Row[] = [
  // rule                   what is declared             who                          every HTTP door                                  WebSocket
  ['enabled',               enabled,                     anybody,                     'in',                                            'in'],
  ['enabled',               disabled,                    anybody,                     '403 app_disabled',                              '4003 app_disabled'],
  ['ipAllowlist',           office,                      from(germany),               'in',                                            'in'],
  ['ipAllowlist',           office,                      from(`::ffff:${germany}`),   'in',                                            'in'],
  ['ipAllowlist',           office,                      from('2001:db8:1::9'),       'in',                                            'in'],
  ['ipAllowlist',           office,                      from(france),                '403 ip_not_allowed',                            '4009 ip_not_allowed'],
  ['ipAllowlist',           office,                      from('2001:db8:2::9'),       '403 ip_not_allowed',                            '4009 ip_not_allowed'],
  ['ipAllowlist',           office,                      from('unknown'),             '403 ip_not_allowed',                            '4009 ip_not_allowed'],
  ['countries Allow',       countries('Allow', 'DE'),    from(germany),               'in',                                            'in'],
  ['countries Allow',       countries('Allow', 'DE'),    from(france),                '403 country_not_allowed',                       '4009 country_not_allowed'],
  ['countries Allow',       countries('Allow', 'DE'),    from(nowhere),               '403 country_not_allowed',                       '4009 country_not_allowed'],
  ['countries Block',       countries('Block', 'DE'),    from(france),                'in',                                            'in'],
  ['countries Block',       countries('Block', 'DE'),    from(nowhere),               'in',                                            'in'],
  ['countries Block',       countries('Block', 'DE'),    from(germany),               '403 country_not_allowed',                       '4009 country_not_allowed'],
  ['origins',               own,                         anybody,                     'in',                                            'in'],
  ['origins',               own,                         page('https://a.example.com'), 'in',                                          'in'],
  ['origins',               own,                         page('https://example.com'), '403 origin_not_allowed',                        '4009 origin_not_allowed'],
  ['origins',               own,                         page('null'),                '403 origin_not_allowed',                        '4009 origin_not_allowed'],
  ['clientCertificates',    certified,                   presenting(known),           'in',                                            'in'],
  ['clientCertificates',    certified,                   anybody,                     '403 client_certificate_required',               '4009 client_certificate_required'],
  ['clientCertificates',    certified,                   presenting('ab'.repeat(32)), '403 client_certificate_unknown',                '4009 client_certificate_unknown'],
  ['clientCertificates',    certified,                   presenting('ab'.repeat(20)), '400 client_certificate_sha1',                   '4009 client_certificate_sha1'],
  ['scopes',                everything,                  anybody,                     'in',                                            'in'],
  ['scopes',                token('app:read'),           anybody,                     lacking,                                         'in'],
  ['scopes',                token('events:publish'),     anybody,                     { ...lacking, events: 'in', 'api events': 'in' }, 'in'],
  ['bearer',                without('bearer'),           anybody,                     { bearer: '401 method_disabled' },               'in'],
  ['keyAndSecret',          without('keyAndSecret'),     anybody,                     { keyAndSecret: '401 method_disabled' },         'in'],
  ['signature',             without('signature'),        anybody,                     { signature: '401 method_disabled' },            'in'],
  ['rate',                  rate(600, 600),              anybody,                     'in',                                            'in'],
  ['rate',                  rate(1, 2),                  anybody,                     '429 rate_limited',                              '4100 rate_limited',      'spent'],
  ['connections',           sockets(2),                  anybody,                     'in',                                            'in'],
  ['connections',           sockets(1),                  anybody,                     'in',                                            '4004 connection_quota',  'one socket'],
  ['secretScanning Reject', scanning('Reject'),          anybody,                     'in',                                            'in'],
  ['secretScanning Reject', scanning('Reject'),          card,                        rejected,                                        '—'],
  ['secretScanning Redact', scanning('Redact'),          card,                        'in',                                            '—'],
  ['TLS',                   none,                        anybody,                     'in',                                            'in'],
  ['TLS',                   none,                        inPlaintext,                 '403 tls_required',                              '4000 tls_required'],
  ['the app',               none,                        ofNoApp,                     { ...everyDoor('404 app_unknown'), 'terminate by key': 'in' }, '—'],
  ['the key',               none,                        ofNoKey,                     { keyAndSecret: '401 key_or_secret_wrong', signature: '401 key_unknown',
                                                                                        'terminate by key': '404 app_unknown' },       '4001 app_unknown'],
  ['the credential',        none,                        guessing,                    { bearer: '401 token_unknown', keyAndSecret: '401 key_or_secret_wrong',
                                                                                        signature: '401 signature_invalid' },          '—'],
  ['the credential',        none,                        nobody,                      { ...everyDoor('401 authentication_required'),
                                                                                        'terminate by key': '404 app_unknown' },       '—'],
  ['the credential',        none,                        basic,                       { ...everyDoor('401 authentication_scheme_unsupported'),
                                                                                        'terminate by key': '404 app_unknown' },       '—'],
  ['the credential',        none,                        twoWays,                     { ...everyDoor('400 authentication_ambiguous'),
                                                                                        'terminate by key': '404 app_unknown' },       '—'],
  ['the signed body',       none,                        altering,                    { signature: '401 body_digest_invalid', 'channels signature': 'in' }, '—'],
  ['security headers',      none,                        sendingTwice('authorization'), '400 header_duplicated',                       '4009 header_duplicated'],
  ['security headers',      none,                        sendingTwice('x-relay-secret'), '400 header_duplicated',                      '4009 header_duplicated'],
  ['size of the body',      none,                        announcing(1e9),             '413 body_too_large',                            '—'],
  ['protocol',              none,                        ofProtocol('3'),             'in',                                            '4007 protocol_unsupported'],
  ['protocol',              none,                        ofProtocol('x'),             'in',                                            '4006 protocol_invalid'],
  ['the relay',             none,                        anybody,                     '503 directory_not_ready',                       '4100 directory_not_ready', 'lost'],
];

/** What a change of the manifest does: to a socket that is open, and, once it is enforced, to requests and new sockets. */
// oxfmt-ignore
export const changes: readonly ChangeRow[] = [
  // rule             before        after                       who                          an open socket             every HTTP door                   a new socket
  ['enabled',         none,         disabled,                   anybody,                     '4003 app_disabled',       '403 app_disabled',               '4003 app_disabled'],
  ['ipAllowlist',     none,         office,                     from(france),                '4009 ip_not_allowed',     '403 ip_not_allowed',             '4009 ip_not_allowed'],
  ['ipAllowlist',     none,         office,                     from(germany),               'in',                      'in',                             'in'],
  ['countries Allow', none,         countries('Allow', 'DE'),   from(nowhere),               '4009 country_not_allowed', '403 country_not_allowed',       '4009 country_not_allowed'],
  ['countries Allow', none,         countries('Allow', 'DE'),   from(germany),               'in',                      'in',                             'in'],
  ['countries Block', none,         countries('Block', 'DE'),   from(germany),               '4009 country_not_allowed', '403 country_not_allowed',       '4009 country_not_allowed'],
  ['countries Block', none,         countries('Block', 'DE'),   from(nowhere),               'in',                      'in',                             'in'],
  ['origins',         none,         own,                        page('https://evil.net'),    '4009 origin_not_allowed', '403 origin_not_allowed',         '4009 origin_not_allowed'],
  ['origins',         none,         own,                        page('https://a.example.com'), 'in',                    'in',                             'in'],
  ['origins',         none,         own,                        anybody,                     'in',                      'in',                             'in'],
  ['clientCertificates', registered, certified,                  anybody,                     '4009 client_certificate_required', '403 client_certificate_required', '4009 client_certificate_required'],
  ['clientCertificates', registered, certified,                  presenting(known),           'in',                      'in',                             'in'],
  ['certificate revoked', certified, certificateRevoked,        presenting(known),           '4009 client_certificate_unknown', '403 client_certificate_unknown', '4009 client_certificate_unknown'],
  ['scopes',          none,         token('app:read'),          anybody,                     'in',                      lacking,                          'in'],
  ['bearer',          none,         without('bearer'),          anybody,                     'in',                      { bearer: '401 method_disabled' }, 'in'],
  ['keyAndSecret',    none,         without('keyAndSecret'),    anybody,                     'in',                      { keyAndSecret: '401 method_disabled' }, 'in'],
  ['signature',       none,         without('signature'),       anybody,                     'in',                      { signature: '401 method_disabled' }, 'in'],
  ['revoked',         none,         { ...none, token: { revoked: true } }, anybody,          '4009 token_revoked',     { bearer: '401 token_unknown' },  'in'],
  ['rate',            none,         rate(600, 600),             anybody,                     'in',                      'in',                             'in'],
  ['connections',     none,         sockets(1),                 anybody,                     'in',                      'in',                             '4004 connection_quota'],
  ['secretScanning',  none,         scanning('Reject'),         card,                        'in',                      rejected,                         'in'],
];

function everyDoor(verdict: Verdict): Record<Method, Verdict> {
  return { bearer: verdict, keyAndSecret: verdict, signature: verdict };
}
