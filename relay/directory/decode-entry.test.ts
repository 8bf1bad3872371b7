import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { certificateEntryKey, webhookHeadersField, type AppEntryBody } from '#crds/directory/entry-body.ts';
import { signEntry } from '#crds/directory/entry.ts';
import { Keyring } from '#crds/keyring.ts';
import { seal } from '#crds/sealed.ts';
import { SAMPLE_APP } from '#test/parts/sample-entries.ts';
import { decodeEntry, type DecodedEntry } from './decode-entry.ts';
import type { App } from './directory.ts';

const keyring = Keyring.parse(`k1:${Buffer.alloc(32, 3).toString('base64')}`);
const sealed = (field: string, text: string): string => seal(keyring, ['7'], field, text, Buffer.alloc(12, 1));

function decoded(headers: string | null): DecodedEntry | undefined {
  const body: AppEntryBody = {
    ...SAMPLE_APP,
    appId: '7',
    keys: [{ id: 'k1', key: 'key', secret: sealed('key.k1', 'secret'), expiresAt: null, pending: false }],
    webhooks: [
      { name: 'hook', url: 'https://a.example', events: ['cache_miss'], channelPrefix: null, batching: false, headers },
    ],
  };
  return decodeEntry(keyring, signEntry(keyring, 'k1', { key: 'app/7', revision: 2, v: 1, crit: [], body }));
}

function appIn(entry: DecodedEntry | undefined): App | undefined {
  if (entry === undefined || 'rejected' in entry) return undefined;
  return entry.content?.kind === 'app' ? entry.content.app : undefined;
}

test('the headers of a webhook are opened, and do not print', () => {
  const app = appIn(decoded(sealed(webhookHeadersField('hook'), '{"Authorization":"Bearer hidden"}')));
  expect(app?.webhooks[0]?.headers.get('Authorization')?.reveal()).toBe('Bearer hidden');
  expect(inspect(app, { depth: 10 }) + JSON.stringify(app)).not.toContain('hidden');
  expect(appIn(decoded(null))?.webhooks[0]?.headers.size).toBe(0);
});

test('headers that were sealed for another webhook, or are no object of texts, refuse the entry', () => {
  expect(decoded(sealed(webhookHeadersField('other'), '{}'))).toMatchObject({ rejected: 'unsealable' });
  for (const text of ['[]', '{"a":1}', 'x'])
    expect(decoded(sealed(webhookHeadersField('hook'), text))).toMatchObject({ rejected: 'invalid' });
});

const sha256 = 'ab'.repeat(32);
const certificate = (key: string, body: object): DecodedEntry | undefined =>
  decodeEntry(keyring, signEntry(keyring, 'k1', { key, revision: 2, v: 1, crit: [], body: { ...body } }));
const registered = { appId: '7', namespace: 'n', name: 'billing', notAfter: 1_000 };

test('a certificate is found by its app and fingerprint, which stand in its key', () => {
  expect(certificate(certificateEntryKey('7', sha256), registered)).toMatchObject({
    content: { kind: 'certificate', certificate: { ...registered, sha256 } },
  });
  // Ids of apps that came from elsewhere may hold anything.
  expect(certificate(certificateEntryKey('a/b', sha256), { ...registered, appId: 'a/b' })).toMatchObject({
    content: { kind: 'certificate', certificate: { appId: 'a/b', sha256 } },
  });
});

test.each([
  ['of another app than its key says', certificateEntryKey('8', sha256), registered],
  ['under a SHA-1', certificateEntryKey('7', 'ab'.repeat(20)), registered],
  ['under capital letters, which no look-up finds', certificateEntryKey('7', 'AB'.repeat(32)), registered],
  ['without an app', `certificate/${sha256}`, registered],
  ['without a word about its end', certificateEntryKey('7', sha256), { ...registered, notAfter: undefined }],
])('a certificate %s is refused', (_, key, body) => {
  expect(certificate(key, body)).toMatchObject({ rejected: 'invalid' });
});
