import { expect, test } from 'vitest';
import { judgeRotateRequest } from './rotate-request.ts';

const asking = (value?: string) => ({
  name: 'checkout',
  namespace: 'shop',
  uid: 'uid-1',
  generation: 1,
  ...(value === undefined ? {} : { annotations: { 'relay-operator.dev/rotate': value } }),
});

test.each([
  ['no annotation', undefined, null, undefined, { kind: 'none' }],
  ['an empty one', '', null, undefined, { kind: 'none' }],
  ['the first value', 'monday', null, undefined, { kind: 'rotate', value: 'monday' }],
  ['another value', 'tuesday', 'monday', 'monday', { kind: 'rotate', value: 'tuesday' }],
  ['one that was acted on', 'monday', 'monday', 'monday', { kind: 'none' }],
  ['a restored status', 'monday', 'monday', 'sunday', { kind: 'none' }],
  ['a lost status', 'monday', 'monday', undefined, { kind: 'none' }],
  ['a restored registry', 'monday', 'sunday', 'monday', { kind: 'unrecorded', value: 'monday' }],
  ['a registry that never knew', 'monday', null, 'monday', { kind: 'unrecorded', value: 'monday' }],
])('%s', (_, value, registry, status, verdict) => {
  expect(judgeRotateRequest(asking(value), { registry, status })).toEqual(verdict);
});

test('a long value is remembered by its beginning', () => {
  const long = 'x'.repeat(1_000);
  const judged = judgeRotateRequest(asking(long), { registry: null, status: undefined });
  expect(judged).toEqual({ kind: 'rotate', value: 'x'.repeat(256) });
  expect(judgeRotateRequest(asking(long), { registry: 'x'.repeat(256), status: undefined })).toEqual({ kind: 'none' });
});
