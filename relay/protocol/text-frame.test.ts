import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeEnvelope, encodeEnvelope } from '../bus/envelope.ts';
import { eventHead, eventTail } from './server-message.ts';
import { textFrame } from './text-frame.ts';
import { socketId, SOCKET_ID_PATTERN } from './socket-id.ts';

/** Reads one unmasked text frame as RFC 6455, 5.2 says. */
function payloadOf(frame: Buffer): string {
  expect(frame[0]).toBe(0x81);
  const short = frame[1] ?? 0;
  if (short < 126) return body(frame, 2, short);
  return short === 126 ? body(frame, 4, frame.readUInt16BE(2)) : body(frame, 10, Number(frame.readBigUInt64BE(2)));
}
function body(frame: Buffer, from: number, length: number): string {
  expect(frame.length).toBe(from + length);
  return frame.toString('utf8', from);
}

describe('text frames', () => {
  test.each([0, 1, 125, 126, 127, 65_535, 65_536, 70_000])('%i bytes', (length) => {
    const text = 'x'.repeat(length);
    expect(payloadOf(textFrame(text))).toBe(text);
  });
  test('parts are joined, in text and in bytes, whatever they hold', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), (parts) => {
        const mixed = parts.map((part, index) => (index % 2 === 0 ? part : Buffer.from(part)));
        expect(payloadOf(textFrame(...mixed))).toBe(Buffer.from(parts.join('')).toString());
      }),
    );
  });
});

describe('an event travels as its tail', () => {
  test('what a receiver frames is what was published', () => {
    fc.assert(
      fc.property(fc.string(), fc.string({ unit: 'grapheme' }), (event, data) => {
        const bytes = encodeEnvelope('relay-1:abc', {
          kind: 'event',
          exceptSocketId: '1.2',
          tail: Buffer.from(eventTail(event, data)),
        });
        const envelope = decodeEnvelope(bytes);
        expect(envelope).toMatchObject({ origin: 'relay-1:abc', exceptSocketId: '1.2' });
        const text = payloadOf(textFrame(eventHead('orders'), envelope?.kind === 'event' ? envelope.tail : ''));
        expect(JSON.parse(text)).toEqual({ channel: 'orders', event, data });
      }),
    );
  });
  test.each([
    '',
    '1',
    '1\n\n\n',
    '2\nr\n\n"event":"x","data":"y"}',
    '1\nr\nnot-an-id\n"event":"x","data":"y"}',
    '1\nr\n\n{}',
  ])('refused: %j', (text) => expect(decodeEnvelope(Buffer.from(text))).toBeUndefined());
  test('no bytes make decoding throw', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(decodeEnvelope(Buffer.from(bytes))).toBeUndefined();
      }),
    );
  });
});

test('socket ids', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (random) => {
      expect(socketId(Buffer.from(random))).toMatch(SOCKET_ID_PATTERN);
    }),
  );
});
