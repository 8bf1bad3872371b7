import { expect, test } from 'vitest';
import { signCheckpoint } from '#crds/directory/checkpoint.ts';
import type { LogEntry } from '#crds/directory/checkpoint.ts';
import { changeDigest, EMPTY_DIGEST } from '#crds/directory/digest.ts';
import { signEntry } from '#crds/directory/entry.ts';
import type { EntryPayload } from '#crds/directory/entry.ts';
import { Keyring } from '#crds/keyring.ts';
import { EntryTable } from './entry-table.ts';

const keyring = Keyring.parse(`k1:${Buffer.alloc(32, 3).toString('base64')}`);
const foreign = Keyring.parse(`k1:${Buffer.alloc(32, 4).toString('base64')}`);
const body = (name: string) => ({ id: name, appId: '1', namespace: 'n', name, environment: 'Live', expiresAt: null });
const payload = (revision: number, change: Partial<EntryPayload> = {}): EntryPayload => ({
  key: 'token/a',
  revision,
  v: 1,
  crit: [],
  body: body(`at ${revision}`),
  ...change,
});
const checkpoint = (revision: number, isLiving = true) =>
  signCheckpoint(keyring, {
    epoch: 1,
    revision,
    count: isLiving ? 1 : 0,
    digest: changeDigest(keyring, 'k1', EMPTY_DIGEST, [], isLiving ? [{ key: 'token/a', revision }] : []),
    keyId: 'k1',
  });
const logEntry = (entry: EntryPayload, ring = keyring): LogEntry => ({
  ...checkpoint(entry.revision, entry.body !== null),
  previous: entry.revision - 1,
  changes: [signEntry(ring, 'k1', entry)],
});

function tableAt1(): EntryTable {
  const table = EntryTable.load(
    keyring,
    checkpoint(1),
    [['token/a', signEntry(keyring, 'k1', payload(1))]],
    [],
    undefined,
  );
  if (!(table instanceof EntryTable)) throw new Error(table);
  return table;
}
const nameOf = (table: EntryTable): string | undefined => {
  const content = table.enforced('token/a');
  return content?.kind === 'token' ? content.token.name : undefined;
};

test('the next revision is taken, an old one skipped, a gap refused', () => {
  const table = tableAt1();
  expect(table.apply(logEntry(payload(1)))).toEqual({ changes: [] });
  expect(table.apply(logEntry(payload(3)))).toEqual({ problem: 'gap' });
  expect(table.apply(logEntry(payload(2)))).toMatchObject({ changes: [{ key: 'token/a' }] });
  expect(nameOf(table)).toBe('at 2');
  table.apply(logEntry(payload(3, { body: null })));
  expect(nameOf(table)).toBeUndefined();
});

test.for([
  ['a later version', payload(2, { v: 2 }), keyring],
  ['a critical field nobody knows', payload(2, { crit: ['ofALaterVersion'] }), keyring],
  ['a body that is none', payload(2, { body: { odd: true } }), keyring],
  ['a MAC of somebody else', payload(2), foreign],
  ['a removal by somebody else', payload(2, { body: null }), foreign],
] as const)('%s: the old entry stays and is named', ([, entry, ring]) => {
  const table = tableAt1();
  expect(table.apply(logEntry(entry, ring))).toEqual({ changes: [] });
  expect(nameOf(table)).toBe('at 1');
  expect(table.rejected()).toEqual(['token/a']);
  expect(table.checkpoint.revision).toBe(2);
  table.apply(logEntry(payload(3)));
  expect(nameOf(table)).toBe('at 3');
  expect(table.rejected()).toEqual([]);
});

test('a fresh load refuses what it cannot verify, and names it', () => {
  const text = signEntry(foreign, 'k1', payload(1));
  const fresh = EntryTable.load(keyring, checkpoint(1), [['token/a', text]], [], undefined);
  expect(fresh).toBeInstanceOf(EntryTable);
  if (fresh instanceof EntryTable) {
    expect(nameOf(fresh)).toBeUndefined();
    expect(fresh.rejected()).toEqual(['token/a']);
  }
});

test('a directory that the operator did not publish is not loaded: emptied, cut, moved, forged', () => {
  const a = signEntry(keyring, 'k1', payload(1));
  expect(EntryTable.load(keyring, checkpoint(1), [], [], undefined)).toBe('digest');
  expect(
    EntryTable.load(keyring, { ...checkpoint(1), revision: 99, count: 0, digest: EMPTY_DIGEST }, [], [], undefined),
  ).toBe('not_authentic');
  expect(EntryTable.load(keyring, checkpoint(1), [['token/b', a]], [], undefined)).toBe('malformed');
  expect(EntryTable.load(keyring, checkpoint(2), [['token/a', a]], [], undefined)).toBe('digest');
  expect(EntryTable.load(keyring, checkpoint(1), [['token/a', a]], [logEntry(payload(3))], undefined)).toBe('gap');
});

test('what is the same after a new load stays the same object', () => {
  const old = tableAt1();
  const text = signEntry(keyring, 'k1', payload(1));
  const fresh = EntryTable.load(keyring, checkpoint(1), [['token/a', text]], [], old);
  if (!(fresh instanceof EntryTable)) throw new Error(fresh);
  expect(fresh.enforced('token/a')).toBe(old.enforced('token/a'));
  expect(fresh.changesSince(old)).toEqual([]);
});
