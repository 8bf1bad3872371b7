import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { dump, load } from 'js-yaml';
import { expect, test } from 'vitest';
import { Secret } from '#crds/keyring.ts';
import type { AppRow } from '../registry/app-registry.ts';
import type { ReferencedSecret } from '../world/secrets.ts';
import { planApp } from './plan.ts';
import type { AppSnapshot } from './snapshot.ts';
import type { AppPlan } from './step.ts';

// Golden pairs: testdata/NAME.in.yaml is a snapshot, NAME.out.yaml the plan for it. Rewrite with `npx vitest run -u`, and read the diff.

type PlainRow = Omit<AppRow, 'keys' | 'webhookHeaders'> & {
  keys: { id: string; key: string; secret: string; createdAt: string }[];
  webhookHeaders: Record<string, string>;
};
type PlainSnapshot = Omit<AppSnapshot, 'row' | 'retired' | 'references'> & {
  row?: PlainRow;
  retired?: PlainRow;
  references: Record<string, ReferencedSecret>;
};

const withSecrets = (row: PlainRow | undefined): AppRow | undefined =>
  row && {
    ...row,
    webhookHeaders: new Map(Object.entries(row.webhookHeaders).map(([name, text]) => [name, new Secret(text)])),
    keys: row.keys.map((key) => ({ ...key, secret: new Secret(key.secret) })),
  };
const snapshotOf = (plain: PlainSnapshot): AppSnapshot => ({
  ...plain,
  row: withSecrets(plain.row),
  retired: withSecrets(plain.retired),
  references: new Map(Object.entries(plain.references)),
});
/** As it may be shown: headers by webhook, without their values. */
const shown = (plan: AppPlan): unknown => ({
  ...plan,
  steps: plan.steps.map((step) =>
    'headers' in step
      ? { ...step, headers: Object.fromEntries([...step.headers].map(([name, header]) => [name, String(header)])) }
      : step,
  ),
});

const inputs = globSync(join(import.meta.dirname, 'testdata/*.in.yaml')).sort();

test('there are golden pairs', () => {
  expect(inputs.length).toBeGreaterThan(20);
});

test.each(inputs.map((path) => [basename(path, '.in.yaml'), path]))('%s', async (_, path) => {
  const plan = planApp(snapshotOf(load(readFileSync(path, 'utf8')) as PlainSnapshot));
  await expect(dump(shown(plan), { noRefs: true, lineWidth: 140 })).toMatchFileSnapshot(
    path.replace('.in.yaml', '.out.yaml'),
  );
});

test('at rest there is nothing to do: the pairs above are about what they say', () => {
  for (const name of ['at-rest', 'webhooks-at-rest', 'published-and-enforced']) {
    const text = readFileSync(join(import.meta.dirname, `testdata/${name}.in.yaml`), 'utf8');
    expect(planApp(snapshotOf(load(text) as PlainSnapshot)).steps).toEqual([]);
  }
});

test('a plan is a function of its snapshot: twice the same, and the snapshot unchanged', () => {
  for (const path of inputs) {
    const plain = load(readFileSync(path, 'utf8')) as PlainSnapshot;
    const snapshot = snapshotOf(plain);
    const before = structuredClone(plain);
    expect(planApp(snapshot)).toEqual(planApp(snapshot));
    expect(plain).toEqual(before);
  }
});
