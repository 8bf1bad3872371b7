import { execFileSync } from 'node:child_process';
import { parseEnv as parseEnvOfNode } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatEnv, parseEnv } from './env-text.ts';

const key = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,20}$/).filter((name) => name !== '__proto__');
const awkward = fc.string({
  unit: fc.constantFrom("'", '"', '\\', '$', '`', ' ', '#', '=', '\n', '\r', '\t', 'a', 'é'),
});
const values = fc.dictionary(key, fc.oneof(fc.string({ unit: 'grapheme' }), awkward), { noNullPrototype: true });

test('whatever is written is read back', () => {
  fc.assert(
    fc.property(values, (data) => {
      expect(parseEnv(formatEnv(data))).toEqual(data);
    }),
  );
});

test('a shell reads the same', () => {
  // A shell drops NUL, and `$(…)` final line feeds; hence the full stop.
  const data = { A: `it's`, B: '"$HOME" `id` \\ \\n', C: 'two\nlines', D: '', E: " 'x' # no comment" };
  const script = `${formatEnv(data)}printf '%s|' "$A" "$B" "$C" "$D" "$E"`;
  expect(execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' })).toBe(
    Object.values(data)
      .map((value) => `${value}|`)
      .join(''),
  );
});

test('dotenv readers read values without a single quote the same', () => {
  const plain = values.map((data) =>
    Object.fromEntries(Object.entries(data).map(([name, value]) => [name, value.replaceAll(/['\r]/g, '')])),
  );
  fc.assert(
    fc.property(plain, (data) => {
      expect({ ...parseEnvOfNode(formatEnv(data)) }).toEqual(data);
    }),
  );
});

test('what people write by hand is understood', () => {
  const text = `# comment\n\nexport A=bare # comment\nB="double \\"quoted\\" \\$x"\n  C='a'"b"c\nnonsense\nD=\nE='open`;
  expect(parseEnv(text)).toEqual({ A: 'bare', B: 'double "quoted" $x', C: 'abc', D: '', E: 'open' });
});
