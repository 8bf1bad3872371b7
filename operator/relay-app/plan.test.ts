import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { dump, load } from 'js-yaml';
import { expect, test } from 'vitest';
import { Secret } from '#crds/keyring.ts';
import type { AppRow } from '../registry/registry.ts';
import { planApp } from './plan.ts';
import type { AppSnapshot } from './snapshot.ts';

// Golden pairs: testdata/NAME.in.yaml is a snapshot, NAME.out.yaml the plan for it. Rewrite with `npx vitest run -u`, and read the diff.

type PlainRow = Omit<AppRow, 'keys'> & { keys: { id: string; key: string; secret: string; createdAt: string }[] };
type PlainSnapshot = Omit<AppSnapshot, 'row' | 'retired'> & { row?: PlainRow; retired?: PlainRow };

const withSecrets = (row: PlainRow | undefined): AppRow | undefined =>
  row && { ...row, keys: row.keys.map((key) => ({ ...key, secret: new Secret(key.secret) })) };

const inputs = globSync(join(import.meta.dirname, 'testdata/*.in.yaml')).sort();

test('there are golden pairs', () => {
  expect(inputs.length).toBeGreaterThan(20);
});

test.each(inputs.map((path) => [basename(path, '.in.yaml'), path]))('%s', async (_, path) => {
  const plain = load(readFileSync(path, 'utf8')) as PlainSnapshot;
  const snapshot: AppSnapshot = { ...plain, row: withSecrets(plain.row), retired: withSecrets(plain.retired) };
  const plan = planApp(snapshot);
  await expect(dump(plan, { noRefs: true, lineWidth: 140 })).toMatchFileSnapshot(path.replace('.in.yaml', '.out.yaml'));
});

test('a plan is a function of its snapshot: twice the same, and the snapshot unchanged', () => {
  for (const path of inputs) {
    const plain = load(readFileSync(path, 'utf8')) as PlainSnapshot;
    const snapshot = { ...plain, row: withSecrets(plain.row), retired: withSecrets(plain.retired) };
    const before = structuredClone(plain);
    expect(planApp(snapshot)).toEqual(planApp(snapshot));
    expect(plain).toEqual(before);
  }
});
