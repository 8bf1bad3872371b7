import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { GROUP } from './api-group.ts';
import { KINDS } from './kinds.ts';

const document = (name: string): string => readFileSync(new URL(`../docs/${name}.md`, import.meta.url), 'utf8');

// What is left out here stays behind with a finalizer that nobody removes.
test('what docs/getting-started.md says to delete before the chart goes is every kind, and then every CRD', () => {
  const text = document('getting-started');
  const objects = /^kubectl delete (\S+) --all --all-namespaces$/m.exec(text)?.[1]?.split(',') ?? [];
  const definitions = /^kubectl delete crd (.*)$/m.exec(text)?.[1]?.split(' ') ?? [];
  expect(objects.toSorted()).toEqual(KINDS.map(({ plural }) => plural).toSorted());
  expect(definitions.toSorted()).toEqual(KINDS.map(({ plural }) => `${plural}.${GROUP}`).toSorted());
});

test('docs/operations.md says of every kind that the operator reads and writes it', () => {
  const access = /^## Access\n([^]*?)(?=^## |(?![^]))/m.exec(document('operations'))?.[1] ?? '';
  for (const { plural } of KINDS) expect(access).toContain(`\`${plural}\``);
});
