import { isAlphanumeric, isDigit, places, runEnd, runStart } from '../characters.ts';
import type { Detector, Span } from '../detector.ts';

/** Addresses as people write them: a dot-atom, `@`, a host name with a top-level domain (RFC 5321, 4.5.3.1: at most 64 and 255 octets). */
const LOCAL = 64;
const DOMAIN = 255;
const LOCAL_MARKS = "._%+-'";
const isLocal = (code: number): boolean =>
  isAlphanumeric(code) || code > 0x7f || LOCAL_MARKS.includes(String.fromCharCode(code));
const isHost = (code: number): boolean => isAlphanumeric(code) || code === 0x2d || code === 0x2e || code > 0x7f;

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
  // What follows a sentence's last word is its full stop, not the host's.
  const labels = host.replace(/[.-]{1,255}$/, '').split('.');
  const top = labels.at(-1) ?? '';
  if (labels.length < 2 || labels.includes('') || top.length < 2 || isDigit(top.charCodeAt(0))) return undefined;
  return { start, end: at + 1 + labels.join('.').length };
}
