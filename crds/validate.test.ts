import { expect, test } from 'vitest';
import { API_VERSION } from './api-group.ts';
import { customResourceDefinition } from './custom-resource-definition.ts';
import { KINDS } from './kinds.ts';
import { GRANTS } from './scopes.ts';
import { formatPath, validateManifest, validateUpdate } from './validate.ts';

const app = (spec: unknown, extra: Record<string, unknown> = {}) => ({
  apiVersion: API_VERSION,
  kind: 'RelayApp',
  metadata: { name: 'checkout' },
  spec,
  ...extra,
});

const token = (spec: object) => app({ appRef: { name: 'checkout' }, ...spec }, { kind: 'RelayToken' });

const errorsOf = (document: unknown): string[] => {
  const result = validateManifest(document);
  return result.ok ? [] : result.errors.map((error) => `${formatPath(error.path)}: ${error.message}`);
};

test('an empty spec is a working app, and an exported object with a status applies again', () => {
  expect(errorsOf(app({}))).toEqual([]);
  expect(errorsOf(app({}, { metadata: { name: 'a', uid: 'x', managedFields: [] }, status: { appId: '1' } }))).toEqual(
    [],
  );
});

test.each([
  ['a text', 'hello', ': expected a manifest with apiVersion, kind, metadata and spec, found "hello"'],
  ['another version', app({}, { apiVersion: 'v1' }), 'apiVersion: expected relay-operator.dev/v1alpha1, found "v1"'],
  [
    'another kind',
    app({}, { kind: 'Pod' }),
    'kind: expected one of RelayApp, RelayToken, ClientCertificate, found "Pod"',
  ],
  ['a missing spec', app(undefined), 'spec: is required: expected an object'],
  [
    'a name with capitals',
    app({}, { metadata: { name: 'Checkout' } }),
    'metadata.name: must be a lowercase DNS name, such as checkout-relay, found "Checkout"',
  ],
  [
    'a misspelt field',
    app({ limits: { conections: 5 } }),
    'spec.limits.conections: unknown field, did you mean connections? Known fields here: rate, connections, eventBytes, clientEventsPerSecond, presenceMembers',
  ],
  [
    'a misspelt field of a list item',
    app({ webhooks: [{ name: 'a', url: 'https://example.com', events: ['member_added'], filters: {} }] }),
    'spec.webhooks[0].filters: unknown field, did you mean filter? Known fields here: name, url, events, headersFrom, filter, batching',
  ],
  [
    'a field that resembles none',
    app({ webhooks: [{ name: 'a', url: 'https://example.com', events: ['member_added'], retries: 5 }] }),
    'spec.webhooks[0].retries: unknown field. Known fields here: name, url, events, headersFrom, filter, batching',
  ],
  ['a wrong type', app({ enabled: 'yes' }), 'spec.enabled: expected a boolean, found "yes"'],
  [
    'a value outside the list',
    app({ deletionPolicy: 'Keep' }),
    'spec.deletionPolicy: expected one of Delete, Retain, found "Keep"',
  ],
  [
    'a number out of range',
    app({ limits: { eventBytes: 0 } }),
    'spec.limits.eventBytes: expected at least 1, found the number 0',
  ],
  [
    'a rate of both forms',
    app({ limits: { rate: { profile: 'Restricted', burst: 5 } } }),
    'spec.limits.rate: set either profile, or requestsPerMinute and burst, found an object',
  ],
  [
    'half a rate',
    app({ limits: { rate: { requestsPerMinute: 5 } } }),
    'spec.limits.rate: set either profile, or requestsPerMinute and burst, found an object',
  ],
  ['an app id that is a number', app({ appId: 480192 }), 'spec.appId: expected a string, found the number 480192'],
  [
    'a label that no Secret can have',
    app({ credentials: { template: { labels: { team: 'a b' } } } }),
    'spec.credentials.template.labels.team: must be letters, digits, - _ and . only, and begin and end with a letter or digit, found "a b"',
  ],
  [
    'an annotation key that no Secret can have',
    app({ credentials: { template: { annotations: { 'a b': 'x' } } } }),
    'spec.credentials.template.annotations.a b: the key must be a name such as team, or with a DNS prefix example.com/team',
  ],
  [
    'a list of no scopes',
    token({ scopes: [] }),
    'spec.scopes: name at least one scope, or leave scopes out: then the token may do everything, found an empty list',
  ],
  [
    'a scope twice',
    token({ scopes: ['app:read', 'app:read'] }),
    'spec.scopes: must not name a scope twice, found a list',
  ],
  [
    'an unknown scope',
    token({ scopes: ['events:publish', 'events:write'] }),
    `spec.scopes[1]: expected one of ${GRANTS.join(', ')}, found "events:write"`,
  ],
])('%s is refused with the field and what was expected', (_, document, message) => {
  expect(errorsOf(document)).toEqual([message]);
});

test('every error of a document is reported at once', () => {
  expect(errorsOf(app({ enabled: 1, colour: 'red' }))).toHaveLength(2);
});

test('the API server refuses what a pattern does not take in the words of zod, and repeats no expression', () => {
  for (const definition of KINDS) {
    const text = JSON.stringify(customResourceDefinition(definition));
    expect(text).not.toMatch(/"pattern":/);
    expect(text).toContain('"message":"must be a lowercase DNS name, such as checkout-relay"');
  }
});

test('the API server refuses a time that JavaScript cannot read, and takes every other', () => {
  const definition = KINDS.find(({ kind }) => kind === 'RelayToken');
  if (definition === undefined) throw new Error('no RelayToken');
  const found = /"expiresAt":\{.*?"rule":("(?:[^"\\]|\\.)*")/.exec(
    JSON.stringify(customResourceDefinition(definition)),
  );
  const rule = String(JSON.parse(found?.[1] ?? '"no rule"'));
  const pattern = new RegExp(String(JSON.parse(/^self\.matches\((".*")\)$/.exec(rule)?.[1] ?? '"no pattern"')));
  for (const time of ['2027-01-01T00:00:00Z', '2027-01-01T00:00:00.5+05:30']) expect(time).toMatch(pattern);
  for (const time of ['2027-01-01T00:00:00+99:99', '2027-01-01T00:00:00,5Z', '2027-02-30T00:00:00Z'])
    expect(time).not.toMatch(pattern);
});

test('immutable fields are compared with the stored object', () => {
  expect(validateUpdate('RelayApp', { appId: '2' }, { appId: '1' }).map((error) => formatPath(error.path))).toEqual([
    'spec.appId',
  ]);
  expect(validateUpdate('RelayApp', { appId: '1', enabled: false }, { appId: '1' })).toEqual([]);
  expect(
    validateUpdate('RelayToken', { appRef: { name: 'b' } }, { appRef: { name: 'a' }, environment: 'Live' }),
  ).toHaveLength(1);
  expect(
    validateUpdate('RelayToken', { appRef: { name: 'a' } }, { appRef: { name: 'a' }, environment: 'Live' }),
  ).toEqual([]);
});
