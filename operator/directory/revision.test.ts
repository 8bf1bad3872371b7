import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { appEntryBody, appKeyField, webhookHeadersField, type EntryChange } from '#crds/directory/entry-body.ts';
import { readEntry } from '#crds/directory/entry.ts';
import { EMPTY_DIGEST } from '#crds/directory/digest.ts';
import { Keyring } from '#crds/keyring.ts';
import { seal, unseal } from '#crds/sealed.ts';
import { nextRevision, signAnew } from './revision.ts';

const key = (): string => randomBytes(32).toString('base64');
const [one, two] = [key(), key()];
const former = Keyring.parse(`one:${one}`);
const both = Keyring.parse(`two:${two},one:${one}`);
const only = Keyring.parse(`two:${two}`);

const policy = {
  enabled: true,
  authentication: { bearer: true, keyAndSecret: true, signature: true },
  limits: { connections: null, eventBytes: 1, clientEventsPerSecond: 1 },
  channels: { clientEvents: true },
};
const sealed = (field: string, text: string): string => seal(former, ['17'], field, text, randomBytes(12));
const app: EntryChange = {
  key: 'app/17',
  body: {
    appId: '17',
    namespace: 'shop',
    name: 'checkout',
    ...policy,
    keys: [{ id: 'k1', key: 'key', secret: sealed(appKeyField('k1'), 'secret') }],
    webhooks: [
      { name: 'bare', url: 'https://a.example', events: [], channelPrefix: null, batching: false, headers: null },
      {
        name: 'signed',
        url: 'https://b.example',
        events: [],
        channelPrefix: null,
        batching: false,
        headers: sealed(webhookHeadersField('signed'), '{"A":"1"}'),
      },
    ],
  },
};
const row = { epoch: 1, revision: 4, count: 0, digest: EMPTY_DIGEST, keyId: 'one' };

test('a new key of the directory: secrets and webhook headers open with it alone, and what was critical stays so', () => {
  const token: EntryChange = {
    key: `token/${'a'.repeat(64)}`,
    body: {
      id: 'id',
      appId: '17',
      namespace: 'shop',
      name: 'ci',
      environment: 'Live',
      expiresAt: null,
      scopes: ['events:*'],
    },
  };
  const { upserts } = nextRevision(former, row, [], [app, token]);
  const { entries } = signAnew(both, 'two', upserts, randomBytes);
  const [signedApp, signedToken] = entries.map(({ text }) => {
    const read = readEntry(only, text);
    return read.kind === 'authentic' ? read.entry : expect.fail(read.kind);
  });
  const body = appEntryBody.parse(signedApp?.body);
  expect(unseal(only, ['17'], 'key.k1', body.keys[0]?.secret ?? '')).toBe('secret');
  expect(body.webhooks[0]?.headers).toBeNull();
  expect(unseal(only, ['17'], 'webhook.signed.headers', body.webhooks[1]?.headers ?? '')).toBe('{"A":"1"}');
  expect(signedToken?.crit).toEqual(['scopes']);
});

test('the entry of an operator of the former version is signed anew as well', () => {
  const { webhooks: _webhooks, ...body } = app.body ?? {};
  const { upserts } = nextRevision(former, row, [], [{ key: 'app/17', body } as EntryChange]);
  const { entries } = signAnew(both, 'two', upserts, randomBytes);
  const read = readEntry(only, entries[0]?.text ?? '');
  expect(read.kind === 'authentic' && appEntryBody.parse(read.entry.body).webhooks).toEqual([]);
});
