import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { openKeys } from './keys.ts';

test('keys are minted once, for their owner alone, and read again', async () => {
  await using directory = await temporaryDirectory('keys');
  const path = join(directory.path, 'keys.env');
  const minted = openKeys(path);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  const again = openKeys(path);
  expect(again.databasePassword.reveal()).toBe(minted.databasePassword.reveal());
  for (const ring of ['encryption', 'directory'] as const)
    expect(again[ring].derive('k1', 'test')).toEqual(minted[ring].derive('k1', 'test'));
  expect(minted.encryption.derive('k1', 'test')).not.toEqual(minted.directory.derive('k1', 'test'));
});

test.each([
  ['', /keys\.env lacks ENCRYPTION_KEYS, DIRECTORY_KEYS, DATABASE_PASSWORD: restore it from a backup/],
  [
    "ENCRYPTION_KEYS='k1:c2hvcnQ='\nDIRECTORY_KEYS='k1:c2hvcnQ='\nDATABASE_PASSWORD='0123456789abcdef'\n",
    /keys\.env is damaged: restore it from a backup/,
  ],
])('a damaged file is never replaced: %j', async (text, expected) => {
  await using directory = await temporaryDirectory('keys');
  const path = join(directory.path, 'keys.env');
  await writeFile(path, text);
  expect(() => openKeys(path)).toThrow(expected);
  expect(await readFile(path, 'utf8')).toBe(text);
});
