import type { Detector, Span } from '../detector.ts';

/** PEM of private keys in all their forms: PKCS #8, RSA, EC, OpenSSH, encrypted, PGP (RFC 7468, 10 and 13; RFC 4880, 6.2). */
const BEGIN = '-----BEGIN ';
const LABEL = /^[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/;
const END = '-----END ';

export const privateKey: Detector = {
  name: 'privateKey',
  mayOccur: (text) => text.includes('BEGIN ') && text.includes(BEGIN),
  find: (text) => {
    const found: Span[] = [];
    let start = text.indexOf(BEGIN);
    while (start >= 0) {
      const body = start + BEGIN.length;
      if (LABEL.test(text.slice(body, body + 64))) {
        const end = endOf(text, body);
        found.push({ start, end });
        start = text.indexOf(BEGIN, end);
      } else start = text.indexOf(BEGIN, body);
    }
    return found;
  },
};

/** A key whose end is missing goes on to the end of the text: half a key is still one. */
function endOf(text: string, from: number): number {
  const end = text.indexOf(END, from);
  if (end < 0) return text.length;
  const dashes = text.indexOf('-----', end + END.length);
  return dashes < 0 || dashes - end > 80 ? text.length : dashes + 5;
}
