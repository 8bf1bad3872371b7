import { isDigit } from './characters.ts';
import type { Span } from './detector.ts';

const DOT = 0x2e;
/** As long as the shortest that a detector looks for, an SSN with its separators. */
const SHORTEST = 11;

/** Characters; of less, the expressions take no longer than the copy. */
const WORTH_A_COPY = 256;
const scratch = new Uint8Array(65_536);
const encoded = Buffer.from(scratch.buffer);
/** By the low byte of a code unit: 1 if some digit, separator or dot has it. */
const mayBelong = new Uint8Array(256);
for (let code = 0; code <= 0xffff; code += 1) {
  if (isDigit(code) || isSeparator(code) || code === DOT) mayBelong[code & 0xff] = 1;
}

/**
 * False: there is no stretch in which a detector of digits would find anything, as in most text that is full of numbers; their own expressions
 * would look at every digit of it. True for a text that is short, or very long. Looks at every eleventh character, and back from there until
 * one is no part of a stretch. On a copy in low bytes, for reading a string one by one costs several times as much; it may see what is none,
 * and overlooks nothing.
 */
export function mayHaveStretch(text: string): boolean {
  const { length } = text;
  if (length < WORTH_A_COPY || length > scratch.length) return true;
  encoded.write(text, 'latin1');
  for (let at = SHORTEST - 1; at < length;) {
    const before = at - SHORTEST;
    let back = at;
    while (back > before && mayBelong[scratch[back] ?? 0] === 1) back -= 1;
    if (back === before) return true;
    at = back + SHORTEST;
  }
  return false;
}

/**
 * The next stretch of digits, alone or in groups with one separator between two, that is at least `shortest` characters long; undefined:
 * there is none. Looks at two of every `shortest - 1` characters: such a stretch has no two neighbours that are both no digits.
 */
export function nextStretch(text: string, from: number, shortest: number): Span | undefined {
  const stride = shortest - 1;
  let begin = from;
  // A stretch that long has the character after its sample, too; reading past the end would make the loop slower for every text.
  const last = text.length - 1;
  for (let at = begin + stride - 1; at < last; at += stride) {
    if (!isDigit(text.charCodeAt(at)) && !isDigit(text.charCodeAt(at + 1))) continue;
    const digit = isDigit(text.charCodeAt(at)) ? at : at + 1;
    const start = stretchStart(text, digit, begin);
    const end = stretchEnd(text, digit);
    if (end - start >= shortest) return { start, end };
    begin = end;
    at = end - 1;
  }
  return undefined;
}

function stretchStart(text: string, from: number, least: number): number {
  let start = from;
  for (;;) {
    if (start > least && isDigit(text.charCodeAt(start - 1))) start -= 1;
    else if (start - 1 > least && separates(text, start - 1) && isDigit(text.charCodeAt(start - 2))) start -= 2;
    else return start;
  }
}

function stretchEnd(text: string, from: number): number {
  let end = from + 1;
  for (;;) {
    if (isDigit(text.charCodeAt(end))) end += 1;
    else if (separates(text, end) && isDigit(text.charCodeAt(end + 1))) end += 2;
    else return end;
  }
}

/** Where the next group of digits begins; `end` of the stretch, when this was the last one. */
export function nextGroup(text: string, from: number, end: number): number {
  let at = from;
  while (at < end && isDigit(text.charCodeAt(at))) at += 1;
  return Math.min(at + 1, end);
}

/** A dot only between two groups of four, else it is a fraction. */
function separates(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  if (code === DOT) return isGroupOfFour(text, at - 4) && isGroupOfFour(text, at + 1);
  return isSeparator(code);
}

/** Spaces and hyphens in all widths that word processors put between groups. */
function isSeparator(code: number): boolean {
  if (code === 0x20 || code === 0x2d) return true;
  return code === 0xa0 || (code >= 0x2000 && code <= 0x200a) || (code >= 0x2010 && code <= 0x2015) || code === 0x202f;
}

function isGroupOfFour(text: string, start: number): boolean {
  for (let at = start; at < start + 4; at += 1) if (!isDigit(text.charCodeAt(at))) return false;
  return !isDigit(text.charCodeAt(start - 1)) && !isDigit(text.charCodeAt(start + 4));
}
