import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { REASON } from './conditions.ts';

const document = (name: string): string => readFileSync(new URL(`../docs/${name}.md`, import.meta.url), 'utf8');
const reasons = Object.values(REASON);

test('docs/reference.md has every reason, and no other', () => {
  const list = /The closed list of reasons:\n([^]*?)\n\n`Enforced` is latched/.exec(document('reference'))?.[1] ?? '';
  const named = [...list.matchAll(/`([A-Z][A-Za-z]+)`/g)].map(([, reason = '']) => reason);
  // The first column has the conditions themselves.
  const conditions = [...list.matchAll(/^\| `([A-Za-z]+)` \|/gm)].map(([, condition = '']) => condition);
  const also = ['ClientCertificate', ...conditions];
  expect([...new Set(named)].filter((reason) => !also.includes(reason)).toSorted()).toEqual(reasons.toSorted());
});

// Where reference.md sends whoever wants to know what to do.
test('a table says of every reason what it means and what to do', () => {
  const rows = ['getting-started', 'client-certificates'].flatMap((name) => document(name).split('\n'));
  const explained = rows.filter((row) => row.startsWith('|') || row.startsWith('`Warning` with')).join('\n');
  expect(reasons.filter((reason) => !explained.includes(`\`${reason}\``))).toEqual([]);
});
