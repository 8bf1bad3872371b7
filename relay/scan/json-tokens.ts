/**
 * Where the strings and numbers of a JSON text stand, so that a part of one can be replaced without touching a byte of the rest: parsing and
 * writing it again would lose spaces, the order of keys and the digits of long numbers.
 */
export type JsonToken = {
  readonly kind: 'string' | 'key' | 'number';
  /** Of a string: without its quotes. */
  readonly start: number;
  readonly end: number;
  /**
   * Where it stands: keys as they are written (escaped), indexes as numbers; of a key the last one is that of the member before it. Changes
   * with the next token: copy what you keep, and not all of it, because depth may be as large as the text.
   */
  readonly path: readonly (string | number)[];
};

/** Strings, keys and numbers in order. The text must be valid JSON. Iterative: depth costs memory, never stack. */
export function* jsonTokens(text: string): Iterable<JsonToken> {
  const path: (string | number)[] = [];
  let at = 0;
  while (at < text.length) {
    switch (text.charAt(at)) {
      case '{':
        path.push('');
        break;
      case '[':
        path.push(0);
        break;
      case '}':
      case ']':
        path.pop();
        break;
      case ',': {
        const last = path.at(-1);
        if (typeof last === 'number') path[path.length - 1] = last + 1;
        break;
      }
      case '"': {
        const start = at + 1;
        const end = closingQuote(text, start);
        at = end;
        if (isKey(text, end)) {
          yield { kind: 'key', start, end, path };
          path[path.length - 1] = text.slice(start, end);
        } else yield { kind: 'string', start, end, path };
        break;
      }
      default:
        if (isNumberStart(text.charCodeAt(at))) {
          const start = at;
          while (at + 1 < text.length && isNumberPart(text.charCodeAt(at + 1))) at += 1;
          yield { kind: 'number', start, end: at + 1, path };
        }
    }
    at += 1;
  }
}

/** A quote is escaped when an odd number of backslashes stands before it. */
function closingQuote(text: string, from: number): number {
  let at = from;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === 0x5c && quote - 1 - backslashes >= from) backslashes += 1;
    if (backslashes % 2 === 0) return quote;
    at = quote + 1;
  }
}

function isKey(text: string, quote: number): boolean {
  let at = quote + 1;
  while (isSpace(text.charCodeAt(at))) at += 1;
  return text.charAt(at) === ':';
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
const isNumberStart = (code: number): boolean => code === 0x2d || (code >= 0x30 && code <= 0x39);
const isNumberPart = (code: number): boolean =>
  isNumberStart(code) || code === 0x2e || code === 0x2b || code === 0x45 || code === 0x65;

/**
 * Positions in the decoded text of a string literal → positions in the literal. Each escape is one UTF-16 code unit of the decoded text
 * (RFC 8259, 7).
 * @param literal without quotes. @param positions ascending.
 */
export function literalPositions(literal: string, positions: readonly number[]): number[] {
  const found: number[] = [];
  let decoded = 0;
  let at = 0;
  for (const position of positions) {
    while (decoded < position && at < literal.length) {
      if (literal.charCodeAt(at) !== 0x5c) at += 1;
      else at += literal.charAt(at + 1) === 'u' ? 6 : 2;
      decoded += 1;
    }
    found.push(at);
  }
  return found;
}
