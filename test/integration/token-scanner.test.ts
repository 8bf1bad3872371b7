import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { mintToken, MINT_BYTES, parseToken } from '#crds/token-format.ts';
import { runProcess } from '#test/parts/process.ts';

// How somebody else finds our tokens, as docs/rotation.md says: the regular expression, and the checksum in another language than ours.

const document = readFileSync(new URL('../../docs/rotation.md', import.meta.url), 'utf8');
const block = (language: string): string =>
  new RegExp(`\`\`\`${language}\n(.*?)\n\`\`\``, 's').exec(document)?.[1] ?? `no ${language} in docs/rotation.md`;
const tokens = Array.from({ length: 50 }, (_, index) =>
  mintToken(index % 2 === 0 ? 'Live' : 'Test', randomBytes(MINT_BYTES)),
);
/** One character of the secret is another: the same form, and no token. */
const alike = ({ token }: { token: string }): string =>
  `${token.slice(0, 25)}${token[25] === 'a' ? 'b' : 'a'}${token.slice(26)}`;
const text = tokens
  .map((token) => `export RELAY_TOKEN="${token.token}" # not ${alike(token)}, nor x${token.token}`)
  .join('\n');

test('the regular expression finds every token, and what has its form', () => {
  const found = [...text.matchAll(new RegExp(block('regex'), 'g'))].map(([match]) => match);
  expect(found).toEqual(tokens.flatMap((token) => [token.token, alike(token)]));
  expect(found.filter((match) => parseToken(match) !== undefined)).toEqual(tokens.map(({ token }) => token));
});

test('the recipe tells the real ones, by their ids', async () => {
  const python = { command: 'python3', args: ['-c', block('python')] };
  const { code, stdout, stderr } = await runProcess(python, { input: text });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.trim().split('\n')).toEqual(tokens.map(({ id }) => id));
});
