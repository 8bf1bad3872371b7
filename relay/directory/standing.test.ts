import { expect, test } from 'vitest';
import { signAdmission } from '#crds/directory/admission.ts';
import type { Checkpoint } from '#crds/directory/checkpoint.ts';
import { Keyring } from '#crds/keyring.ts';
import { Standing } from './standing.ts';

const keyring = Keyring.parse(`k1:${Buffer.alloc(32, 3).toString('base64')}`);
const at = (revision: number, digest = 'd'): Checkpoint => ({
  epoch: 1,
  revision,
  count: 0,
  digest,
  keyId: 'k1',
  mac: '',
});
const admission = (nonce: string, revision: number, id = 'a') =>
  signAdmission(keyring, id, { nonce, epoch: 1, revision, digest: 'd', keyId: 'k1' });

function standing(fenceAfterMs: number | null = null): Standing {
  let runs = 0;
  return new Standing({ keyring, id: 'a', nextNonce: () => `n${(runs += 1)}`, admitTimeoutMs: 60_000, fenceAfterMs });
}

test('ready only with an admission for this run that is reached', () => {
  const one = standing();
  one.loaded(0);
  expect(one.isReady(0)).toBe(false);
  expect(one.consider(admission('other', 5), at(9), 0)).toBe(false);
  expect(one.consider(admission('n1', 5, 'other'), at(9), 0)).toBe(false);
  expect(one.consider({ ...admission('n1', 5), revision: 1 }, at(9), 0)).toBe(false);
  expect(one.consider(admission('n1', 5), at(4), 0)).toBe(false);
  expect(one.consider(admission('n1', 5), at(5, 'another'), 0)).toBe(false);
  expect(one.consider(admission('n1', 5), at(5), 0)).toBe(true);
  expect(one.isReady(0)).toBe(true);
});

test('after RELAY_ADMIT_TIMEOUT without any admission it serves, unadmitted', () => {
  const one = standing();
  one.loaded(1_000);
  expect(one.isReady(60_999)).toBe(false);
  expect(one.isUnadmitted(61_000)).toBe(true);
});

test('an operator that asks for more than we have is an operator: no serving by timeout', () => {
  const one = standing();
  one.loaded(0);
  one.consider(admission('n1', 5), at(4), 0);
  expect(one.isReady(120_000)).toBe(false);
});

test('the fence counts from the start of the last report that arrived, and ends the run', () => {
  const one = standing(5_000);
  one.loaded(0);
  one.reporting(0);
  one.reported(0, 'n1', 900);
  one.consider(admission('n1', 5), at(5), 900);
  expect(one.isFenced(5_000)).toBe(false);
  expect(one.isFenced(5_001)).toBe(true);
  expect(one.isReady(5_001)).toBe(false);
  // A late answer to a report of the old run, and its admission, do not help.
  one.reported(4_000, 'n1', 5_002);
  expect(one.consider(admission('n1', 5), at(9), 5_002)).toBe(false);
  expect(one.nonce).toBe('n2');
  one.reporting(6_000);
  one.reported(6_000, 'n2', 6_001);
  expect(one.isFenced(6_001)).toBe(true);
  expect(one.consider(admission('n2', 5), at(9), 6_001)).toBe(true);
  expect(one.isFenced(6_001)).toBe(false);
  expect(one.isReady(6_001)).toBe(true);
});

test('a run whose first report may have arrived long ago is given up, not admitted', () => {
  const one = standing(5_000);
  one.loaded(0);
  one.reporting(0); // No answer, but the operator may have heard it, and counted the run out since.
  expect(one.consider(admission('n1', 5), at(9), 20_000)).toBe(false);
  expect(one.nonce).toBe('n2');
});
