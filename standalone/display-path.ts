import { relative, isAbsolute } from 'node:path';

/** A path as a person would type it here: relative when it is below the current directory. */
export function displayPath(path: string, cwd: string): string {
  const below = relative(cwd, path);
  return below === '' ? '.' : below.startsWith('..') || isAbsolute(below) ? path : below;
}

/** As one word of a POSIX shell. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
