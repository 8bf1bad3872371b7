import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { occasionKey, type Occasion } from '#operator/notifications/occasion.ts';
import { announceIn } from '#operator/postgres/announcements.ts';
import { registryDatabase, type RegistryDatabase } from '#test/parts/registry-database.ts';

const NOW = Date.parse('2027-02-22T12:00:00Z');
const now = (): number => NOW;
const BOTH = { mail: true, webhook: true };
const upcoming: Occasion = {
  kind: 'RelayApp',
  namespace: 'shop',
  name: 'checkout',
  appId: '480192',
  credentialId: 'k1',
  secretName: 'checkout-relay',
  what: 'RotationUpcoming',
  at: NOW + 86_400_000,
  overlapMs: 3_600_000,
};
const key = occasionKey(upcoming);
const to = ['platform@example.com', 'oncall@example.com', 'platform@example.com'];

describe('announcing', () => {
  let database: RegistryDatabase;
  beforeEach(async () => {
    database = await registryDatabase();
  });
  afterEach(() => database[Symbol.asyncDispose]());

  const messages = async (): Promise<unknown[]> =>
    (
      await database.pool.query(
        'SELECT channel, recipient, given_up_at IS NOT NULL AS "givenUp", last_error AS error FROM notification ORDER BY channel, recipient',
      )
    ).rows;

  test('is one message to each address and one to the webhook, however often and by however many leaders', async () => {
    const first = await database.lead({ channels: BOTH, now });
    expect(await first.registry.announced([key])).toEqual(new Set());
    await first.registry.announce({ occasion: upcoming, to });
    const second = await database.lead({ channels: BOTH, now });
    await Promise.all(
      ['a@example.com', 'b@example.com'].map((other) => second.registry.announce({ occasion: upcoming, to: [other] })),
    );
    expect(await messages()).toEqual([
      { channel: 'Mail', recipient: 'oncall@example.com', givenUp: false, error: null },
      { channel: 'Mail', recipient: 'platform@example.com', givenUp: false, error: null },
      { channel: 'Webhook', recipient: '', givenUp: false, error: null },
    ]);
    expect(await second.registry.announced([key, `${key}-not`])).toEqual(new Set([key]));
  });

  test('is refused of a leader that was deposed', async () => {
    const deposed = await database.lead({ channels: BOTH, now });
    const { registry } = await database.lead({ channels: BOTH, now });
    await expect(deposed.registry.announce({ occasion: upcoming, to })).rejects.toMatchObject({ code: 'not_leading' });
    expect(await registry.announced([key])).toEqual(new Set());
    expect(await messages()).toEqual([]);
  });

  test('without SMTP_URL is recorded, and never sent later', async () => {
    const { registry } = await database.lead({ channels: { mail: false, webhook: false }, now });
    await registry.announce({ occasion: upcoming, to: ['platform@example.com'] });
    expect(await messages()).toEqual([
      { channel: 'Mail', recipient: 'platform@example.com', givenUp: true, error: 'MailNotConfigured' },
    ]);
    expect(await registry.announced([key])).toEqual(new Set([key]));
  });

  test('to nobody counts as announced', async () => {
    const { registry } = await database.lead({ channels: { mail: true, webhook: false }, now });
    await registry.announce({ occasion: upcoming, to: [] });
    expect(await messages()).toEqual([]);
    expect(await registry.announced([key])).toEqual(new Set([key]));
  });

  test('goes with the change that it tells of, or not at all', async () => {
    const { commit } = await database.lead({ channels: BOTH, now });
    const options = { rings: { installation: database.rings.installation }, now, channels: BOTH };
    const change = commit.commit(async (tx) => {
      await announceIn(tx, options, [{ occasion: upcoming, to }]);
      throw new Error('the change failed');
    });
    await expect(change).rejects.toThrow('the change failed');
    expect(await messages()).toEqual([]);
  });
});
