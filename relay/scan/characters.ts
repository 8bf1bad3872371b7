/** Classes of characters that several detectors look at, by UTF-16 code unit. */
export const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;

export const isUpper = (code: number): boolean => code >= 0x41 && code <= 0x5a;

export const isAlphanumeric = (code: number): boolean =>
  isDigit(code) || isUpper(code) || (code >= 0x61 && code <= 0x7a);

/** `-` and `_` besides: the alphabet of base64url. */
export const isBase64Url = (code: number): boolean => isAlphanumeric(code) || code === 0x2d || code === 0x5f;

/** The end of the run of such characters that begins at `from`. */
export function runEnd(text: string, from: number, belongs: (code: number) => boolean, limit = text.length): number {
  let at = from;
  while (at < limit && at < text.length && belongs(text.charCodeAt(at))) at += 1;
  return at;
}

/** The start of the run that ends before `to`; looks back at most `most` characters. */
export function runStart(text: string, to: number, belongs: (code: number) => boolean, most: number): number {
  let at = to;
  while (at > 0 && to - at < most && belongs(text.charCodeAt(at - 1))) at -= 1;
  return at;
}

/** Every place where `needle` stands. */
export function* places(text: string, needle: string): Iterable<number> {
  for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + 1)) yield at;
}

/** Whether `word` stands somewhere and ends in an underscore there: looks at underscores only, which are rarer than letters. */
export function hasBeforeUnderscore(text: string, word: string): boolean {
  const last = word.charCodeAt(word.length - 1);
  for (let at = text.indexOf('_'); at >= 0; at = text.indexOf('_', at + 1)) {
    if (text.charCodeAt(at - 1) === last && text.startsWith(word, at - word.length)) return true;
  }
  return false;
}
