import { describe, expect, test } from 'vitest';
import { addressPolicy, parseAllowed } from './address-policy.ts';

const policy = (allowed = '') => addressPolicy(parseAllowed(allowed));

/** As post.ts does: the URL parser undoes the spelling. */
const hostOf = (url: string): string => new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');

test.each([
  '8.8.8.8',
  '1.1.1.1',
  '172.15.255.255',
  '172.32.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '198.17.255.255',
  '223.255.255.255',
  '2606:4700:4700::1111',
  '2a00:1450::1',
  '::ffff:8.8.8.8',
  '64:ff9b::808:808',
])('%s is public', (address) => {
  expect(policy().allowsAddress(address)).toBe(true);
});

test.each([
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '10.255.255.255',
  '100.64.0.1',
  '100.127.255.255',
  '127.0.0.1',
  '127.255.255.254',
  '168.63.129.16',
  '::ffff:168.63.129.16',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.192',
  '192.0.2.1',
  '192.88.99.1',
  '192.168.1.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '0:0:0:0:0:ffff:0a00:0001',
  '::127.0.0.1',
  '::ffff:0:127.0.0.1',
  '64:ff9b::169.254.169.254',
  '64:ff9b::7f00:1',
  '64:ff9b::1',
  '64:ff9b:1::808:808',
  '100::1',
  '2001::1',
  '2001:0:53aa:64c:0:7ff:f5ff:fffe',
  '2001:db8::1',
  '2002:7f00:1::1',
  '2002:a9fe:a9fe::',
  '3fff::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  '2606:4700::1%eth0',
  'fec0::1',
  'ff02::1',
  '4000::1',
  'not an address',
  '',
])('%s is refused', (address) => {
  expect(policy().allowsAddress(address)).toBe(false);
});

test.each([
  'http://127.1/',
  'http://0x7f.0.0.1/',
  'http://0x7f000001/',
  'http://2130706433/',
  'http://017700000001/',
  'http://0177.0.0.1/',
  'http://127.0.0.1./',
  'http://%31%32%37.0.0.1/',
  'http://①②⑦.0.0.1/',
  'http://１２７.0.0.1/',
  'http://127。0。0。1/',
  'http://0/',
  'http://[::1]/',
  'http://[0:0:0:0:0:0:0:1]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::ffff:7f00:1]/',
  'http://[0000:0000:0000:0000:0000:ffff:a9fe:a9fe]/',
  'http://2852039166/',
  'http://0xa9.0xfe.0xa9.0xfe/',
])('the URL %s leads to a refused address', (url) => {
  expect(policy().allowsAddress(hostOf(url))).toBe(false);
});

describe('RELAY_WEBHOOK_ALLOW', () => {
  test('opens networks, addresses and hosts, and nothing beside them', () => {
    const opened = policy('10.1.0.0/16, 192.168.7.7 fd12::/32,hooks.internal,.svc.cluster.local');
    for (const address of ['10.1.2.3', '192.168.7.7', 'fd12::5', '::ffff:10.1.2.3'])
      expect(opened.allowsAddress(address)).toBe(true);
    for (const address of ['10.2.0.0', '192.168.7.8', 'fd13::5', '127.0.0.1'])
      expect(opened.allowsAddress(address)).toBe(false);
    for (const host of ['hooks.internal', 'HOOKS.internal.', 'web.shop.svc.cluster.local'])
      expect(opened.allowsHost(host)).toBe(true);
    for (const host of [
      'a.hooks.internal',
      'svc.cluster.local',
      'evilsvc.cluster.local',
      'hooks.internal.evil.example',
    ])
      expect(opened.allowsHost(host)).toBe(false);
  });

  test('everything can be opened', () => {
    const opened = policy('0.0.0.0/0,::/0');
    for (const address of ['127.0.0.1', '::1', '::ffff:10.0.0.1']) expect(opened.allowsAddress(address)).toBe(true);
  });

  test.each([
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0/8',
    '999.1.1.1',
    'a/8',
    'fe80::1%eth0',
    'a_b..c',
    '*.x',
    '1.2.3.4/8/8',
  ])('says what is wrong: %s', (text) => {
    expect(() => parseAllowed(text)).toThrow(text);
  });
});
