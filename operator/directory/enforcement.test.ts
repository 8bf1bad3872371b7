import { describe, expect, test } from 'vitest';
import { evaluateEnforced } from './enforcement.ts';
import type { DirectoryView, MemberView } from './enforcement.ts';

const member = (id: string, change: Partial<MemberView> = {}): MemberView => ({
  id,
  epoch: 2,
  revision: 10,
  admitted: true,
  rejected: new Set(),
  silent: false,
  lacks: new Set(),
  ...change,
});
const view = (...members: MemberView[]): DirectoryView => ({ head: { epoch: 2, revision: 10 }, members });
const input = { revision: 10, entryKeys: ['app/1'], since: 5_000, latched: false };

describe('Enforced, the first row that fits', () => {
  test.for([
    ['head is before it', { view: view(member('a')), revision: 11 }, 'False', 'Publishing'],
    [
      'a member rejected its entries',
      { view: view(member('a', { rejected: new Set(['app/1']) })) },
      'False',
      'Rejected',
    ],
    [
      'a member rejected something else',
      { view: view(member('a', { rejected: new Set(['app/2']) })) },
      'True',
      'AllReplicas',
    ],
    ['no member', { view: view() }, 'Unknown', 'NoReplicas'],
    ['all there', { view: view(member('a'), member('b')) }, 'True', 'AllReplicas'],
    ['a silent one has it already', { view: view(member('a', { silent: true })) }, 'True', 'AllReplicas'],
    [
      'only a silent one is missing',
      { view: view(member('a'), member('b', { silent: true, revision: 9 })) },
      'Unknown',
      'ReplicaUnreachable',
    ],
    [
      'a silent and a slow one are missing',
      { view: view(member('a', { revision: 9 }), member('b', { silent: true, revision: 9 })) },
      'False',
      'Propagating',
    ],
    ['of an earlier epoch', { view: view(member('a', { epoch: 1, revision: 99 })) }, 'False', 'Propagating'],
    ['not admitted', { view: view(member('a', { admitted: false })) }, 'False', 'Propagating'],
  ] as const)('%s', ([, change, status, reason]) => {
    expect(evaluateEnforced({ ...input, ...change })).toMatchObject({ status, reason, settled: true });
  });

  test('Propagating is not worth a write in its first 2 s', () => {
    const slow = view(member('a', { revision: 9 }));
    expect(evaluateEnforced({ ...input, view: slow, since: 1_999 }).settled).toBe(false);
    expect(evaluateEnforced({ ...input, view: slow, since: 2_000 }).settled).toBe(true);
  });
});

test('a rollout of relays under 5,000 objects writes no status: what is latched never changes', () => {
  const objects = Array.from({ length: 5_000 }, (_, index) => ({ revision: index + 1, entryKeys: [`app/${index}`] }));
  const written = new Map<number, string>();
  let writes = 0;
  const look = (seen: DirectoryView): void => {
    for (const { revision, entryKeys } of objects) {
      const latched = written.get(revision)?.startsWith('True') === true;
      const { status, reason, message } = evaluateEnforced({ view: seen, revision, entryKeys, since: 9_999, latched });
      const text = `${status} ${reason} ${message}`;
      if (written.get(revision) !== text) writes += 1;
      written.set(revision, text);
    }
  };
  const at = (...members: MemberView[]): DirectoryView => ({ head: { epoch: 2, revision: 5_000 }, members });
  look(at(member('a', { revision: 5_000 })));
  expect(writes).toBe(5_000);
  for (const seen of [
    at(member('a', { revision: 5_000 }), member('b', { revision: 0, epoch: 0, admitted: false })),
    at(member('a', { revision: 5_000, silent: true }), member('b', { revision: 5_000 })),
    at(member('b', { revision: 1, silent: true })),
    at(),
    at(member('c', { epoch: 3, revision: 6_000, rejected: new Set(['app/1']) })),
    { head: { epoch: 0, revision: 0 }, members: [] },
  ]) {
    look(seen);
  }
  expect(writes).toBe(5_000);
});
