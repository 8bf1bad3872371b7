import { expect, test } from 'vitest';
import { declare } from './declarations.ts';

const file = (text: string, path = 'app.yaml') => ({ path, ok: true, text }) as const;
const nothing = (): undefined => undefined;
const problems = (text: string): string[] =>
  declare([file(text)], nothing).problems.map(({ line, message }) => `${line}: ${message}`);

const HEAD = 'apiVersion: relay-operator.dev/v1alpha1\nkind: RelayApp\n';

test('documents, anchors, merge keys, comments and empty documents are read; the namespace has a default', () => {
  const text = `# nothing\n---\n${HEAD}metadata: { name: one, labels: &l { team: a } }\nspec: {}\n---\n---\n${HEAD}metadata:\n  name: two\n  namespace: shop\n  labels: { <<: { team: b } }\nspec: {}\n`;
  const { declarations, problems } = declare([file(text)], nothing);
  expect(problems).toEqual([]);
  expect(declarations.map(({ namespace, name, labels, line }) => ({ namespace, name, labels, line }))).toEqual([
    { namespace: 'default', name: 'one', labels: { team: 'a' }, line: 3 },
    { namespace: 'shop', name: 'two', labels: { team: 'b' }, line: 9 },
  ]);
});

test.each([
  [
    `${HEAD}metadata:\n  name: x\nspec:\n  limits:\n    conections: 1\n`,
    /^7: spec\.limits\.conections: unknown field, did you mean connections\?/,
  ],
  [
    `${HEAD}metadata:\n  name: x\nspec:\n  limits: { connections: 1,\n    eventBytes: many }\n`,
    /^7: spec\.limits\.eventBytes: expected a number, found "many"/,
  ],
  [`${HEAD}metadata:\n  name: x\nspec:\n  enabled: "yes"\n`, /^6: spec\.enabled: expected a boolean, found "yes"/],
  [`${HEAD}metadata:\n  namespace: x\nspec: {}\n`, /^3: metadata\.name: is required: expected a string/],
  [`${HEAD}metadata:\n  name: Upper\nspec: {}\n`, /^4: metadata\.name: must be a lowercase DNS name/],
  [
    `apiVersion: v1\nkind: RelayApp\nmetadata:\n  name: x\n`,
    /^1: apiVersion: expected relay-operator\.dev\/v1alpha1, found "v1"/,
  ],
  [
    `${HEAD.replace('RelayApp', 'RelayAp')}metadata:\n  name: x\n`,
    /^2: kind: expected one of RelayApp, RelayToken, ClientCertificate, found "RelayAp"/,
  ],
  ['just text\n', /^1: expected a manifest/],
  ['a: 1\n b: 2\n', /^2: not valid YAML/],
  ['a: 1\nb: 2\na: 3\n', /^3: not valid YAML: duplicated mapping key/],
  ['a: *gone\n', /^1: not valid YAML/],
  ['\ta: 1\n', /^1: not valid YAML/],
  [
    `# first\n---\n${HEAD}metadata: {name: x}\nspec: {}\n---\n${HEAD}metadata: {name: y}\nspec:\n  nope: 1\n`,
    /^12: spec\.nope: unknown field/,
  ],
])('%j is told with its line', (text, expected) => {
  expect(problems(text)).toEqual([expect.stringMatching(expected)]);
});

test('a mistake in one document leaves the others alone, and what it names is not gone', () => {
  const text = `${HEAD}metadata: { name: good }\nspec: {}\n---\n${HEAD}metadata: { name: bad }\nspec: { nope: 1 }\n`;
  const { declarations, named } = declare([file(text)], nothing);
  expect(declarations.map(({ name }) => name)).toEqual(['good']);
  expect([...named]).toEqual(['RelayApp/default/good', 'RelayApp/default/bad']);
});

test('many aliases are refused before they are expanded', () => {
  const bomb = `a: &a [x, x]\nb: [${'*a, '.repeat(200)}*a]\n`;
  expect(problems(bomb)).toEqual([expect.stringMatching(/not valid YAML/)]);
});

const SECRET = 'apiVersion: v1\nkind: Secret\n';

test('a Secret for objects to refer to: stringData, data and labels as the API server takes them', () => {
  const text = `${SECRET}metadata: { name: headers, labels: { relay-operator.dev/referable: "true" } }\ndata: { A: YWJj, B: YWJj }\nstringData: { B: plain }\n`;
  const { secrets, declarations, named, problems } = declare([file(text)], nothing);
  expect(problems).toEqual([]);
  expect(declarations).toEqual([]);
  expect(secrets).toEqual([
    {
      kind: 'Secret',
      namespace: 'default',
      name: 'headers',
      type: 'Opaque',
      labels: { 'relay-operator.dev/referable': 'true' },
      data: { A: 'abc', B: 'plain' },
      file: 'app.yaml',
      line: 1,
    },
  ]);
  expect([...named]).toEqual(['Secret/default/headers']);
});

test.each([
  ['stringData: { A: 12345678 }', '4: stringData.A: must be a string, in quotes if it looks like something else'],
  ['data: { A: "canary canary" }', '4: data.A: must be base64; use stringData for plain text'],
  ['stringData: { "a b": canary }', '4: stringData.a b: the key must be letters, digits, -, _ and . only, up to 253'],
  ['stringdata: { A: canary }', '4: stringdata: unknown field of a Secret'],
])('a mistake in a Secret is told without its value: %s', (line, expected) => {
  expect(problems(`${SECRET}metadata: { name: headers }\n${line}\n`)).toEqual([expected]);
});

test('one Secret in two files: the first one, and a problem', () => {
  const text = `${SECRET}metadata: { name: headers }\n`;
  const { secrets, problems } = declare([file(text), file(text, 'b.yaml')], nothing);
  expect(secrets.map((secret) => secret.file)).toEqual(['app.yaml']);
  expect(problems).toEqual([
    { file: 'b.yaml', line: 1, message: 'Secret default/headers is declared twice: see line 1 of app.yaml' },
  ]);
});
