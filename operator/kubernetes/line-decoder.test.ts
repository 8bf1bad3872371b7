import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MalformedStreamError } from '../engine/errors.ts';
import { LineDecoder } from './line-decoder.ts';

const line = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.includes('\n'));

test('wherever the stream is cut, in the middle of a character too, the lines are the same', () => {
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (lines, sizes) => {
      const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
      const decoder = new LineDecoder(1 << 20);
      const decoded: string[] = [];
      for (let at = 0, i = 0; at < bytes.length; i += 1) {
        const size = sizes[i % sizes.length] ?? 1;
        decoded.push(...decoder.push(bytes.subarray(at, at + size)));
        at += size;
      }
      decoder.end();
      expect(decoded).toEqual(lines);
    }),
  );
});

test('half a line at the end is an error', () => {
  const decoder = new LineDecoder(100);
  expect(decoder.push(Buffer.from('one\n\ntw'))).toEqual(['one']);
  expect(() => decoder.end()).toThrow(MalformedStreamError);
});

test('a line without an end is an error, not memory', () => {
  const decoder = new LineDecoder(10);
  decoder.push(Buffer.from('12345678'));
  expect(() => decoder.push(Buffer.from('901'))).toThrow('longer than 10 bytes');
});
