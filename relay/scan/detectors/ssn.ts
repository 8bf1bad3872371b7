import { isAlphanumeric } from '../characters.ts';
import type { Detector, Span } from '../detector.ts';

/**
 * US Social Security numbers, `AAA-GG-SSSS` with hyphens or spaces. Nine digits alone are far more often something else. Never issued: area
 * 000, 666 and 900–999, group 00, serial 0000 (SSA, "Social Security Number Randomization").
 */
const SHAPE = /(\d\d\d)([- ])(\d\d)[- ](\d\d\d\d)/g;

export const ssn: Detector = {
  name: 'ssn',
  mayOccur: (text) => find(text, 1).length > 0,
  find: (text) => find(text, Number.POSITIVE_INFINITY),
};

function find(text: string, most: number): Span[] {
  const found: Span[] = [];
  SHAPE.lastIndex = 0;
  for (let match = SHAPE.exec(text); match !== null && found.length < most; match = SHAPE.exec(text)) {
    const [all, area = '', separator = '', group, serial] = match;
    const start = match.index;
    const end = start + all.length;
    SHAPE.lastIndex = start + 1;
    if (text.charAt(start + 6) !== separator || touches(text, start - 1) || touches(text, end)) continue;
    const never = area === '000' || area === '666' || area >= '900' || group === '00' || serial === '0000';
    if (!never) found.push({ start, end });
  }
  return found;
}

/** Part of a longer number or name, such as an order number. */
function touches(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return isAlphanumeric(code) || code === 0x2d;
}
