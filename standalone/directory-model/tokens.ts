/** The names of all tokens of the model: few, so that changes of one meet. */
export const NAMES = ['a', 'b', 'c', 'd', 'e'];

export const hashOf = (name: string): string => Buffer.from(name).toString('hex').padEnd(64, '0');

/** Which token each name has, as text, to compare. */
export const contentOf = (idOf: (hash: string) => string | undefined): string =>
  NAMES.map((name) => `${name}=${idOf(hashOf(name)) ?? '-'}`).join(' ');
