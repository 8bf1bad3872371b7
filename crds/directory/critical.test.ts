import { expect, test } from 'vitest';
import { criticalFields, KNOWN_CRITICAL } from './critical.ts';
import { appEntryKey, certificateEntryKey, tokenEntryKey, type EntryChange } from './entry-body.ts';

const app = (access: object, keys: readonly string[] = []): EntryChange => ({
  key: appEntryKey('1'),
  body: {
    appId: '1',
    namespace: 'a',
    name: 'b',
    enabled: true,
    keys: keys.map((name, index) => ({ id: `k${index}`, key: name, secret: 'sealed' })),
    authentication: { bearer: true, keyAndSecret: true, signature: true },
    access,
    limits: { connections: null, eventBytes: 1, clientEventsPerSecond: 1 },
    channels: { clientEvents: true },
  },
});
const key = tokenEntryKey('a'.repeat(64));
const body = { id: 'id', appId: '1', namespace: 'a', name: 'b', environment: 'Live', expiresAt: null } as const;

test.each<[string, EntryChange, string[]]>([
  ['scopes', { key, body: { ...body, scopes: ['events:publish'] } }, ['scopes']],
  ['no scopes at all', { key, body: { ...body, scopes: [] } }, ['scopes']],
  [
    'who gets in',
    app({ ipAllowlist: ['1.2.3.4'], origins: ['null'], countries: { mode: 'Block', codes: ['DE'] } }),
    ['ipAllowlist', 'origins', 'countries'],
  ],
  ['everybody', app({ ipAllowlist: null, clientCertificatesRequired: false }), []],
  ['several keys', app({}, ['one', 'two']), []],
  ['several secrets under one key', app({}, ['one', 'one']), ['sharedKeys']],
  ['client certificates', app({ clientCertificatesRequired: true }), ['clientCertificates']],
  [
    'a certificate itself',
    { key: certificateEntryKey('1', 'a'.repeat(64)), body: { appId: '1', namespace: 'a', name: 'b', notAfter: null } },
    [],
  ],
  ['full access', { key, body: { ...body, scopes: null } }, []],
  ['a token of an earlier version', { key, body }, []],
  ['a removal, which every relay can carry out', { key, body: null }, []],
])('%s', (_, change, expected) => {
  expect(criticalFields(change)).toEqual(expected);
});

test('this version knows what it lists itself', () => {
  const listed = criticalFields({ key, body: { ...body, scopes: ['events:publish'] } });
  expect(listed.filter((field) => !KNOWN_CRITICAL.has(field))).toEqual([]);
});
