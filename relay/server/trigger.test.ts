import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { triggerBody, usualTriggerBody } from './trigger.ts';

const usual = { name: 'created', data: '{"id":1}', channels: ['orders', 'private-x'] };

/** Each field right, wrong, odd or missing; fields that nobody knows; and what is no object at all. */
const name = fc.oneof(
  fc.string({ maxLength: 300 }),
  fc.constantFrom(
    'created',
    '',
    'pusher:x',
    'pusher_internal:x',
    'pusher',
    'a pusher:',
    'é'.repeat(200),
    'x'.repeat(201),
    1,
    null,
  ),
);
const channels = fc.oneof(
  fc.array(fc.oneof(fc.string(), fc.constantFrom('orders', '__proto__')), { maxLength: 3 }),
  fc.array(fc.anything(), { maxLength: 3 }),
  fc.constantFrom(Array.from({ length: 100 }, String), Array.from({ length: 101 }, String), 'orders', null, {
    0: 'a',
    length: 1,
  }),
);
const odd = fc.oneof(fc.string(), fc.constantFrom(null, undefined, 1));
const bodies = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record(
      {
        name,
        data: fc.oneof(fc.string(), fc.anything()),
        channels,
        channel: odd,
        socket_id: odd,
        info: odd,
        more: fc.anything(),
      },
      { requiredKeys: [] },
    ),
  },
  { weight: 9, arbitrary: fc.record({ name, data: fc.string(), channels }) },
  fc.anything(),
);

describe('the usual body', () => {
  test('is found', () => {
    expect(usualTriggerBody(usual)).toEqual(usual);
    expect(usualTriggerBody({ ...usual, more: 1 })).toEqual(usual);
  });

  test('is what the schema says, or the schema is asked', () => {
    fc.assert(
      fc.property(bodies, (value) => {
        const found = usualTriggerBody(value);
        if (found !== undefined) expect(triggerBody.safeParse(value)).toEqual({ success: true, data: found });
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    ['no text', { ...usual, data: 1 }],
    ['a socket id', { ...usual, socket_id: '1.2' }],
    ['info', { ...usual, info: 'user_count' }],
    ['one channel', { ...usual, channel: 'orders' }],
    ['no channel', { ...usual, channels: [] }],
    ['a channel that is no text', { ...usual, channels: ['orders', 1] }],
    ['101 channels', { ...usual, channels: Array.from({ length: 101 }, String) }],
    ['a long name', { ...usual, name: 'x'.repeat(201) }],
    ['no name', { ...usual, name: '' }],
    ['a reserved name', { ...usual, name: 'pusher:x' }],
    ['null', null],
  ])('is not one with %s', (_what, value) => {
    expect(usualTriggerBody(value)).toBeUndefined();
  });
});
