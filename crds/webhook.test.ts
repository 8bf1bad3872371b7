import { expect, test } from 'vitest';
import { API_VERSION } from './api-group.ts';
import { WEBHOOK_EVENTS } from './directory/entry-body.ts';
import { formatPath, validateManifest } from './validate.ts';
import { defaultedWebhooks } from './webhook.ts';

// What the API server says of the same mistakes is in test/e2e/kubernetes-world.test.ts.

const hook = { name: 'hook', url: 'https://example.com/pusher?a=b', events: ['client_event'] };
const errorsOf = (...webhooks: object[]): string[] => {
  const result = validateManifest({
    apiVersion: API_VERSION,
    kind: 'RelayApp',
    metadata: { name: 'a' },
    spec: { webhooks },
  });
  return result.ok ? [] : result.errors.map(({ path, message }) => `${formatPath(path)}: ${message}`);
};

test.each([
  hook,
  { ...hook, url: 'http://[2001:db8::1]:8080' },
  { ...hook, url: 'http://events.shop.svc:8080/', events: [...WEBHOOK_EVENTS] },
  { ...hook, headersFrom: { name: 'headers' }, filter: { channelPrefix: 'presence-' }, batching: true },
  { ...hook, filter: { channelPrefix: '#server-to-user-' } },
])('%j is a webhook', (webhook) => {
  expect(errorsOf(webhook)).toEqual([]);
});

test.each([
  'ftp://example.com',
  'https://user:password@example.com',
  'https://',
  'example.com',
  'https://example.com/#x',
  'https://example.com:70000/',
  'https://example.com/a b',
  'https://exa\nmple.com',
])('%j is no URL for events', (url) => {
  expect(errorsOf({ ...hook, url })).toEqual([
    expect.stringMatching(/^spec\.webhooks\[0\]\.url: must be a URL such as https:\/\/example\.com\/pusher, with http/),
  ]);
});

test.each([
  [{ name: 'Hook' }, 'name: must be up to 63 lowercase letters, digits and -'],
  [{ name: 'h'.repeat(64) }, 'name: expected at most 63 characters'],
  [{ events: [] }, 'events: must name at least one event, each once: channel_occupied, '],
  [{ events: ['cache_miss', 'cache_miss'] }, 'events: must name at least one event, each once'],
  [{ events: ['client_events'] }, 'events[0]: expected one of channel_occupied, channel_vacated, '],
  [{ events: undefined }, 'events: is required'],
  [{ url: `https://example.com/${'x'.repeat(2_048)}` }, 'url: expected at most 2048 characters'],
  [{ filter: { channelPrefix: 'presence-*' } }, 'filter.channelPrefix: must be the beginning of channel names'],
  [{ filter: { channelPrefix: '' } }, 'filter.channelPrefix: must be the beginning of channel names'],
  [{ headersFrom: { name: 'A_B' } }, 'headersFrom.name: must be a lowercase DNS name'],
])('%j is refused with the field and what to write', (change, message) => {
  expect(errorsOf({ ...hook, ...change })[0]).toContain(`spec.webhooks[0].${message}`);
});

test('names are unique, and there are 16 at the most', () => {
  expect(errorsOf(hook, hook)).toEqual(['spec.webhooks: each webhook must have a name of its own, found a list']);
  expect(errorsOf(...Array.from({ length: 17 }, (_, index) => ({ ...hook, name: `h${index}` })))).toEqual([
    'spec.webhooks: expected at most 16 items, found a list',
  ]);
});

test('sets in another order are the same', () => {
  const [a, b] = [
    { ...hook, name: 'a', events: [...WEBHOOK_EVENTS] },
    { ...hook, name: 'b', events: [] },
  ];
  const reversed = [b, { ...a, events: WEBHOOK_EVENTS.toReversed() }];
  expect(defaultedWebhooks(reversed)).toEqual(defaultedWebhooks([a, b]));
});
