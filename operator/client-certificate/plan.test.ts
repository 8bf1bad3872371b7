import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { dump, load } from 'js-yaml';
import { expect, test } from 'vitest';
import { planCertificate } from './plan.ts';
import type { CertificateSnapshot } from './snapshot.ts';

// Golden pairs: testdata/NAME.in.yaml is a snapshot, NAME.out.yaml the plan for it. Rewrite with `npx vitest run -u`, and read the diff.

const inputs = globSync(join(import.meta.dirname, 'testdata/*.in.yaml')).sort();
/** What is left out is as it is where nobody is told of anything. */
const read = (path: string): CertificateSnapshot => ({
  uses: {},
  notify: [],
  announced: [],
  ...(load(readFileSync(path, 'utf8')) as Omit<CertificateSnapshot, 'uses' | 'notify' | 'announced'>),
});

test('there are golden pairs', () => {
  expect(inputs.length).toBeGreaterThan(60);
});

test.each(inputs.map((path) => [basename(path, '.in.yaml'), path]))('%s', async (_, path) => {
  const plan = planCertificate(read(path));
  await expect(dump(plan, { noRefs: true, lineWidth: 140 })).toMatchFileSnapshot(path.replace('.in.yaml', '.out.yaml'));
});

test('at rest there is nothing to do: the pairs above are about what they say', () => {
  for (const name of ['published-and-enforced', 'issued-at-rest', 'renewed-at-rest', 'revoked'])
    expect(planCertificate(read(join(import.meta.dirname, `testdata/${name}.in.yaml`))).steps).toEqual([]);
});

test('a plan is a function of its snapshot: twice the same, and the snapshot unchanged', () => {
  for (const path of inputs) {
    const snapshot = read(path);
    const before = structuredClone(snapshot);
    expect(planCertificate(snapshot)).toEqual(planCertificate(snapshot));
    expect(snapshot).toEqual(before);
  }
});
