/**
 * Texts of `.env` files as a POSIX shell reads them: `KEY='value'`. Everything between single quotes is literal, line feeds included; a
 * single quote itself is written `'\''`.
 */
export function formatEnv(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}='${value.replaceAll("'", String.raw`'\''`)}'\n`)
    .join('');
}

/**
 * What a shell would assign, without expansion of `$`. Forgiving, because people edit these files: comments, `export`, double quotes and
 * bare words are understood, and a line that is none of these is passed over.
 */
export function parseEnv(text: string): Record<string, string> {
  const values: [string, string][] = [];
  const assignment = /[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)=/y;
  let position = 0;
  while (position < text.length) {
    assignment.lastIndex = position;
    const match = assignment.exec(text);
    if (match?.[1] === undefined) {
      position = endOfLine(text, position);
      continue;
    }
    const word = readWord(text, assignment.lastIndex);
    values.push([match[1], word.value]);
    position = endOfLine(text, word.end);
  }
  return Object.fromEntries(values);
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end === -1 ? text.length : end + 1;
}

/** One shell word: quoted and bare pieces without a space between them. */
function readWord(text: string, from: number): { value: string; end: number } {
  let value = '';
  let position = from;
  for (;;) {
    const character = text[position];
    if (character === undefined || /\s/.test(character)) return { value, end: position };
    if (character === "'") {
      const end = text.indexOf("'", position + 1);
      if (end === -1) return { value: value + text.slice(position + 1), end: text.length };
      value += text.slice(position + 1, end);
      position = end + 1;
    } else if (character === '"') {
      const piece = /"((?:[^"\\]|\\[^])*)"?/y;
      piece.lastIndex = position;
      value += (piece.exec(text)?.[1] ?? '').replaceAll(/\\(["\\$`])/g, '$1');
      position = piece.lastIndex;
    } else if (character === '\\') {
      value += text[position + 1] ?? '';
      position += 2;
    } else {
      value += character;
      position += 1;
    }
  }
}
