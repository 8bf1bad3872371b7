import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { dump, load } from 'js-yaml';
import { expect, test } from 'vitest';
import { Secret } from '#crds/keyring.ts';
import type { AppKey, ImportedCredentials } from '../registry/app-key-registry.ts';
import type { AppRow } from '../registry/app-registry.ts';
import type { CredentialUse } from '../registry/credential-use.ts';
import type { ReferencedSecret } from '../world/secrets.ts';
import { planApp } from './plan.ts';
import type { AppSnapshot } from './snapshot.ts';
import type { AppPlan } from './step.ts';

// Golden pairs: testdata/NAME.in.yaml is a snapshot, NAME.out.yaml the plan for it. Rewrite with `npx vitest run -u`, and read the diff.

type PlainKey = Pick<AppKey, 'id' | 'key' | 'createdAt'> &
  Partial<Pick<AppKey, 'state' | 'origin' | 'cause' | 'activatedAt' | 'retirement'>> & { readonly secret: string };
type PlainRow = Omit<AppRow, 'keys' | 'webhookHeaders' | 'rotatedAt' | 'rotateRequest'> &
  Partial<Pick<AppRow, 'rotatedAt' | 'rotateRequest'>> & {
    keys: PlainKey[];
    webhookHeaders: Record<string, string>;
  };
/** What is left out is as it is where nothing rotates. */
type PlainSnapshot = Omit<
  AppSnapshot,
  'row' | 'retired' | 'references' | 'staged' | 'clash' | 'uses' | 'usesKnownUntil' | 'announced' | 'mail'
> & {
  row?: PlainRow;
  retired?: PlainRow;
  references: Record<string, ReferencedSecret>;
  staged?: AppSnapshot['staged'];
  clash?: 'appId' | 'key';
  uses?: Record<string, CredentialUse>;
  usesKnownUntil?: number;
  announced?: readonly string[];
  mail?: boolean;
};

const keyOf = ({ secret, state = 'Active', ...key }: PlainKey): AppKey => ({
  origin: 'Minted',
  cause: null,
  activatedAt: state === 'Pending' ? null : Date.parse(key.createdAt),
  retirement: null,
  ...key,
  state,
  secret: new Secret(secret),
});
const withSecrets = (row: PlainRow | undefined): AppRow | undefined =>
  row && {
    rotatedAt: null,
    rotateRequest: null,
    ...row,
    webhookHeaders: new Map(Object.entries(row.webhookHeaders).map(([name, text]) => [name, new Secret(text)])),
    keys: row.keys.map(keyOf),
  };
const snapshotOf = (plain: PlainSnapshot): AppSnapshot => ({
  ...plain,
  row: withSecrets(plain.row),
  retired: withSecrets(plain.retired),
  references: new Map(Object.entries(plain.references)),
  staged: plain.staged ?? { kind: 'absent' },
  clash: plain.clash,
  uses: new Map(Object.entries(plain.uses ?? {})),
  usesKnownUntil: plain.usesKnownUntil ?? null,
  announced: new Set(plain.announced),
  mail: plain.mail ?? true,
});
/** As it may be shown: headers by webhook and imported secrets, without their values. */
const shown = (plan: AppPlan): unknown => ({
  ...plan,
  steps: plan.steps.map((step) => {
    if ('headers' in step) {
      const headers = Object.fromEntries([...step.headers].map(([name, header]) => [name, String(header)]));
      return 'first' in step && step.first !== undefined
        ? { ...step, headers, first: masked(step.first) }
        : { ...step, headers };
    }
    return step.do === 'StageKey' ? { ...step, stage: masked(step.stage) } : step;
  }),
});
const masked = (value: { readonly imported?: ImportedCredentials | null | undefined }): unknown =>
  value.imported === undefined || value.imported === null
    ? value
    : { ...value, imported: { ...value.imported, secret: String(value.imported.secret) } };

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
