import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { dump, load } from 'js-yaml';
import { expect, test } from 'vitest';
import { planToken } from './plan.ts';
import type { TokenSnapshot } from './snapshot.ts';

// Golden pairs: testdata/NAME.in.yaml is a snapshot, NAME.out.yaml the plan for it. Rewrite with `npx vitest run -u`, and read the diff.

const inputs = globSync(join(import.meta.dirname, 'testdata/*.in.yaml')).sort();
/** What is left out is as it is where nobody is told of anything. */
const read = (path: string): TokenSnapshot => ({
  notify: [],
  announced: [],
  stagingTaken: undefined,
  ...(load(readFileSync(path, 'utf8')) as Omit<TokenSnapshot, 'notify' | 'announced' | 'stagingTaken'>),
});

test('there are golden pairs', () => {
  expect(inputs.length).toBeGreaterThan(20);
});

test.each(inputs.map((path) => [basename(path, '.in.yaml'), path]))('%s', async (_, path) => {
  const plan = planToken(read(path));
  await expect(dump(plan, { noRefs: true, lineWidth: 140 })).toMatchFileSnapshot(path.replace('.in.yaml', '.out.yaml'));
});

test('at rest there is nothing to do: the pairs above are about what they say', () => {
  for (const name of ['published-and-enforced', 'scopes-same', 'rate-same'])
    expect(planToken(read(join(import.meta.dirname, `testdata/${name}.in.yaml`))).steps).toEqual([]);
});
