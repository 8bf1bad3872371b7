import { readdirSync, readFileSync } from 'node:fs';
import { loadAll } from 'js-yaml';
import { expect, test } from 'vitest';
import { KINDS } from './kinds.ts';
import { validateManifest } from './validate.ts';

const root = new URL('..', import.meta.url);
const documents = ['README.md', ...readdirSync(new URL('docs', root)).map((name) => `docs/${name}`)];
const ours = new RegExp(`^kind: (${KINDS.map(({ kind }) => kind).join('|')})$`, 'm');
const blocks = documents.flatMap((document) =>
  [...readFileSync(new URL(document, root), 'utf8').matchAll(/```yaml\n([^]*?)```/g)]
    .map(([, block = '']) => block)
    .filter((block) => ours.test(block))
    .map((block) => [document, block] as const),
);

test('there are examples', () => {
  expect(blocks.length).toBeGreaterThan(5);
});

test.each(blocks)('%s: what is shown can be applied as it is', (_, block) => {
  for (const manifest of loadAll(block)) expect(validateManifest(manifest)).toMatchObject({ ok: true });
});
