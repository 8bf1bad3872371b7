import { isAlphanumeric, isDigit, places, runEnd, runStart } from '../characters.ts';
import type { Detector, Span } from '../detector.ts';

/** Addresses as people write them: a dot-atom, `@`, a host name with a top-level domain (RFC 5321, 4.5.3.1: at most 64 and 255 octets). */
const LOCAL = 64;
const DOMAIN = 255;
const LOCAL_MARKS = "._%+-'";
/** Letters of other scripts, roughly: not their spaces, quotation marks and full stops. */
const isForeign = (code: number): boolean =>
  code >= 0xc0 &&
  !(code >= 0x2000 && code <= 0x206f) &&
  !(code >= 0x3000 && code <= 0x303f) &&
  !(code >= 0xff00 && code <= 0xff20);
const isLocal = (code: number): boolean =>
  isAlphanumeric(code) || isForeign(code) || LOCAL_MARKS.includes(String.fromCharCode(code));
const isHost = (code: number): boolean => isAlphanumeric(code) || code === 0x2d || code === 0x2e || isForeign(code);

export const email: Detector = {
  name: 'email',
  mayOccur: (text) => text.includes('@'),
  find: (text) => {
    const found: Span[] = [];
    let after = 0;
    for (const at of places(text, '@')) {
      const span = around(text, at, after);
      if (span === undefined) continue;
      found.push(span);
      after = span.end;
    }
    return found;
  },
};

/** @param after the end of the address before it, which must not hide this one. */
function around(text: string, at: number, after: number): Span | undefined {
  const run = runStart(text, at, isLocal, Math.min(LOCAL, at - after));
  const start = runEnd(text, run, (code) => code === 0x2e, at);
  if (start === at || text.charCodeAt(at - 1) === 0x2e) return undefined;
  const host = text.slice(at + 1, runEnd(text, at + 1, isHost, at + 1 + DOMAIN));
  // What follows a sentence's last word is its full stop, or three of them.
  const [name = ''] = host.split('..', 1);
  const labels = name.replace(/[.-]{1,255}$/, '').split('.');
  while (labels.length > 1 && !isTop(labels.at(-1) ?? '')) labels.pop();
  if (labels.length < 2 || labels[0] === '' || isImageScale(labels)) return undefined;
  return { start, end: at + 1 + labels.join('.').length };
}

/** Not a number, as the last part of a version is. */
const isTop = (label: string): boolean => label.length >= 2 && !isDigit(label.charCodeAt(0));

/** `icon@2x.png` */
const isImageScale = ([first = '', ...rest]: readonly string[]): boolean => rest.length === 1 && /^\dx$/.test(first);
