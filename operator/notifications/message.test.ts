import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { messageOf } from './message.ts';
import type { Occasion } from './occasion.ts';
import { chatText, plainText } from './text.ts';

// Every text that people can get, as it is sent, in testdata/. Read them as somebody who has never heard of this product.

const at = (text: string): number => Date.parse(text);
const sender = { installation: 'production', relayUrl: 'https://relay.example.com' };
const app = {
  kind: 'RelayApp',
  namespace: 'shop',
  name: 'checkout',
  appId: '480192',
  credentialId: 'k7f3a9c1',
  secretName: 'checkout-relay',
} as const;
const token = { ...app, kind: 'RelayToken', name: 'ci', credentialId: 'Ab3dE6gH9k', secretName: 'ci-token' } as const;
const certificate = {
  ...app,
  kind: 'ClientCertificate',
  name: 'billing',
  credentialId: 'ab12cd34',
  secretName: null,
} as const;
const use = { lastUsedAt: at('2027-03-08T11:41:00Z'), requests: 1204, client: 'pusher-http-node 5.3.4' };
const rotation = {
  what: 'Rotated',
  at: at('2027-03-01T12:00:00Z'),
  worksUntil: at('2027-03-08T12:00:00Z'),
  goneBy: at('2027-03-29T12:00:00Z'),
} as const;
const died = { what: 'DiedInUse', at: at('2027-03-29T12:00:00Z'), use } as const;

const occasions: Readonly<Record<string, Occasion>> = {
  'app-rotation-upcoming': { ...app, what: 'RotationUpcoming', at: rotation.at, overlapMs: 7 * 86_400_000 },
  'token-rotation-upcoming': { ...token, what: 'RotationUpcoming', at: rotation.at, overlapMs: 7 * 86_400_000 },
  'certificate-rotation-upcoming': {
    ...certificate,
    what: 'RotationUpcoming',
    at: rotation.at,
    overlapMs: 7 * 86_400_000,
  },
  'app-rotated': { ...app, ...rotation, cause: 'Interval' },
  'app-rotated-imported': { ...app, ...rotation, cause: 'Imported', goneBy: rotation.worksUntil },
  'token-rotated': { ...token, ...rotation, cause: 'Annotation' },
  'token-rotated-secret-lost': { ...token, ...rotation, cause: 'SecretLost' },
  'certificate-rotated': {
    ...certificate,
    ...rotation,
    secretName: 'billing-mtls',
    cause: 'Renewed',
    goneBy: rotation.worksUntil,
  },
  'token-expiry-upcoming': { ...token, what: 'ExpiryUpcoming', at: at('2027-03-01T12:00:00Z') },
  'certificate-expiry-upcoming': { ...certificate, what: 'ExpiryUpcoming', at: at('2027-03-01T12:00:00Z') },
  'app-old-in-use': { ...app, what: 'OldCredentialInUse', at: rotation.worksUntil, goneBy: rotation.goneBy, use },
  'token-old-in-use': {
    ...token,
    what: 'OldCredentialInUse',
    at: rotation.worksUntil,
    goneBy: rotation.goneBy,
    use: { ...use, requests: 1, client: null },
  },
  'app-died-at-deadline': { ...app, ...died, why: 'Deadline' },
  'app-died-deleted': { ...app, ...died, why: 'Deleted' },
  'token-died-at-deadline': { ...token, ...died, why: 'Deadline' },
  'app-died-making-room': { ...app, ...died, why: 'MadeRoom' },
  'token-died-with-its-app': { ...token, ...died, why: 'AppDeleted' },
  'token-died-expired': { ...token, ...died, why: 'Expired' },
  'token-died-revoked': { ...token, ...died, why: 'Revoked' },
  'certificate-issued-expiry-upcoming': {
    ...certificate,
    secretName: 'billing-mtls',
    what: 'ExpiryUpcoming',
    at: at('2027-03-01T12:00:00Z'),
  },
  'certificate-issued-died-expired': { ...certificate, ...died, secretName: 'billing-mtls', why: 'Expired' },
  'certificate-died-replaced': { ...certificate, ...died, why: 'Replaced' },
  'certificate-died-revoked': { ...certificate, ...died, secretName: 'billing-mtls', why: 'Revoked' },
  'certificate-died-deleted': { ...certificate, ...died, why: 'Deleted' },
  'certificate-died-overlap-over': { ...certificate, ...died, secretName: 'billing-mtls', why: 'Deadline' },
  'certificate-died-expired': { ...certificate, ...died, why: 'Expired' },
};

test.each(Object.entries(occasions))('%s', async (name, occasion) => {
  const message = messageOf(occasion, sender);
  const golden = `Subject: ${message.subject}\n\n${plainText(message)}\n==== chat ====\n${chatText(message)}\n`;
  await expect(golden).toMatchFileSnapshot(`testdata/${name}.txt`);
});

test('what a client says of itself is no link, no markup and no line of its own', () => {
  const client = 'x\r\nBcc: <!channel> http://evil.example/`rm -rf`';
  const message = messageOf({ ...token, ...died, why: 'Revoked', use: { ...use, client } }, sender);
  expect(message.paragraphs[0]).toContain('by "x??Bcc? ??channel? http???evil.example??rm -rf?"');
  expect(message.subject).not.toMatch(/[\r\n]/);
});

test('nothing in a chat can begin a mention or a link', () => {
  const message = { subject: '<!channel>', paragraphs: ['a & b'], actions: [], footer: '<@U1>' };
  expect(chatText(message)).toBe('*&lt;!channel&gt;*\na &amp; b\n_&lt;@U1&gt;_');
});

test('the mail in docs/notifications.md is one that is sent', async () => {
  const docs = await readFile(join(import.meta.dirname, '../../docs/notifications.md'), 'utf8');
  const golden = await readFile(join(import.meta.dirname, 'testdata/token-old-in-use.txt'), 'utf8');
  expect(docs).toContain(golden.slice(0, golden.indexOf('\n==== chat')).trimEnd());
});
