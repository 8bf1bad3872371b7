import { expect, test } from 'vitest';
import { Keyring } from '../keyring.ts';
import { MOST_USES, type CredentialUseFact } from './credential-use.ts';
import { isEmpty, readReport, signReport, type FactReport } from './report.ts';

const keyring = Keyring.parse(`k1:${Buffer.alloc(32, 5).toString('base64')}`);
const other = Keyring.parse(`k1:${Buffer.alloc(32, 6).toString('base64')}`);
const use: CredentialUseFact = { appId: '480192', credential: 'k1', at: 1_000, requests: 3, client: 'curl 8.5.0' };
const report = (change: Partial<FactReport> = {}): FactReport => ({
  v: 1,
  replica: 'relay-0:w1',
  boot: 'b1',
  seq: 1,
  until: 2_000,
  last: false,
  facts: { credentialUses: [use] },
  ...change,
});
const read = (text: string): ReturnType<typeof readReport> => readReport(keyring, text);

test('what was signed is read as it was', () => {
  expect(read(signReport(keyring, 'k1', report()))).toEqual(report());
});

test('a kind of a later version is passed over, and is no empty report', () => {
  const later = read(signReport(keyring, 'k1', report({ facts: { securityEvents: [{ any: 'thing' }] } })));
  if ('fault' in later) throw new Error(later.fault);
  expect(isEmpty(later)).toBe(false);
  expect(later.facts.credentialUses).toBeUndefined();
  expect(isEmpty(report({ facts: {} }))).toBe(true);
});

test('another key, another text and another purpose are refused', () => {
  const signed = signReport(keyring, 'k1', report());
  expect(readReport(other, signed)).toEqual({ fault: 'not_authentic' });
  expect(read(signed.replace('"requests":3', '"requests":4'))).toEqual({ fault: 'not_authentic' });
  expect(read(signed.replace('k1.', 'k2.'))).toEqual({ fault: 'unknown_key' });
  expect(() => signReport(keyring, 'k2', report())).toThrow(RangeError);
});

test.each([
  ['no text of ours', 'hello'],
  ['nothing', ''],
  ['a later version', { v: 2 }],
  ['a negative count', { facts: { credentialUses: [{ ...use, requests: -1 }] } }],
  ['a client that is an address', { facts: { credentialUses: [{ ...use, client: '10.0.0.7' }] } }],
  ['too many uses', { facts: { credentialUses: Array.from({ length: MOST_USES + 1 }, () => use) } }],
  ['facts that are none', { facts: { credentialUses: 'all' } }],
])('%s is malformed, also when it is signed', (_name, given) => {
  const signed = typeof given === 'string' ? given : signReport(keyring, 'k1', Object.assign(report(), given));
  expect(read(signed)).toEqual({ fault: 'malformed' });
});
