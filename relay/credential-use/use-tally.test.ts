import { expect, test } from 'vitest';
import { MOST_USES } from '#crds/facts/credential-use.ts';
import { UseTally } from './use-tally.ts';

const AGAIN = 60_000;
const quiet = (): void => undefined;
const tally = (beforeTaking: ConstructorParameters<typeof UseTally>[0] = quiet): UseTally =>
  new UseTally(beforeTaking, AGAIN);
const NODE = { 'x-pusher-library': 'pusher-http-node 5.3.4', 'user-agent': 'node' };

test('nothing was used: nothing is told, and that up to now', () => {
  expect(tally().take(5_000, false)).toEqual({ facts: {}, until: 5_000, more: false });
});

test('uses of one credential are one line, with the last time and the client of the first', () => {
  const uses = tally();
  uses.request('1', 'k1', NODE, 1_000);
  uses.request('1', 'k1', { 'user-agent': 'curl/8.5.0' }, 2_000);
  uses.use('1', 'k1', 'js 8.6.0', 1, 3_000);
  uses.request('1', 'Ab3', {}, 2_500);
  uses.request('2', 'k1', { 'user-agent': 'curl/8.5.0' }, 2_600);
  expect(uses.take(5_000, false)).toEqual({
    facts: {
      credentialUses: [
        { appId: '1', credential: 'k1', at: 3_000, requests: 3, client: 'pusher-http-node 5.3.4' },
        { appId: '1', credential: 'Ab3', at: 2_500, requests: 1, client: null },
        { appId: '2', credential: 'k1', at: 2_600, requests: 1, client: 'curl 8.5.0' },
      ],
    },
    until: 5_000,
    more: false,
  });
  expect(uses.take(5_001, false).facts).toEqual({});
});

test('steady use is told again after a minute, with all that came meanwhile; until then nobody claims to have told it', () => {
  const uses = tally();
  uses.request('1', 'k1', NODE, 1_000);
  uses.take(5_000, false);
  for (let at = 6_000; at < 65_000; at += 1_000) uses.request('1', 'k1', {}, at);
  expect(uses.take(64_999, false)).toEqual({ facts: {}, until: 6_000, more: false });
  expect(uses.take(65_000, false)).toEqual({
    // Who called first since then said nothing: what is known of the client stays.
    facts: {
      credentialUses: [{ appId: '1', credential: 'k1', at: 64_000, requests: 59, client: NODE['x-pusher-library'] }],
    },
    until: 65_000,
    more: false,
  });
});

test('the last time nothing is held back', () => {
  const uses = tally();
  uses.request('1', 'k1', NODE, 1_000);
  uses.take(5_000, false);
  uses.request('1', 'k1', NODE, 6_000);
  expect(uses.take(6_001, true)).toMatchObject({
    facts: { credentialUses: [{ at: 6_000, requests: 1 }] },
    until: 6_001,
  });
});

test('a clock that was set back holds nothing back', () => {
  const uses = tally();
  uses.request('1', 'k1', NODE, 3_600_000);
  uses.take(3_600_001, false);
  uses.request('1', 'k1', NODE, 1_000);
  expect(uses.take(1_001, false).facts.credentialUses).toHaveLength(1);
});

test('more than fits into one report is told in the next, and not claimed before', () => {
  const uses = tally();
  for (let at = 0; at <= MOST_USES; at += 1) uses.request('1', `k${at}`, {}, 1_000 + at);
  const first = uses.take(5_000, false);
  expect(first.facts.credentialUses).toHaveLength(MOST_USES);
  expect(first).toMatchObject({ more: true, until: 1_000 + MOST_USES });
  expect(uses.take(5_000, false)).toMatchObject({
    facts: { credentialUses: [{ credential: `k${MOST_USES}` }] },
    more: false,
    until: 5_000,
  });
});

test('what is in use without a word is asked for before each report, and is no request', () => {
  const uses = tally((tallied, now) => tallied.use('1', 'k1', 'js 8.6.0', 0, now));
  expect(uses.take(5_000, false).facts).toEqual({
    credentialUses: [{ appId: '1', credential: 'k1', at: 5_000, requests: 0, client: 'js 8.6.0' }],
  });
  expect(uses.take(10_000, false).facts).toEqual({});
  expect(uses.take(65_000, false).facts.credentialUses).toHaveLength(1);
});
