import { expect, test } from 'vitest';
import { mailAddress } from './mail-address.ts';

test.each(['platform@example.com', 'first.last+relay@mail.example.co.uk', "o'neil@example.com", 'root@localhost'])(
  '%s is an address',
  (address) => {
    expect(mailAddress.safeParse(address).success).toBe(true);
  },
);

test.each([
  '',
  'platform',
  '@example.com',
  'platform@',
  'platform@-example.com',
  'platform@example..com',
  'Platform <platform@example.com>',
  'a@example.com,b@example.com',
  'a@example.com;b@example.com',
  '"a b"@example.com',
  'a@b@example.com',
  'a@example.com\nBcc: b@example.com',
  'a@example.com\r\n',
  'a@example.com ',
  'a\0@example.com',
  'ä@example.com',
  `${'a'.repeat(65)}@example.com`,
  `a@${'b'.repeat(64)}.com`,
])('%j is none', (address) => {
  expect(mailAddress.safeParse(address).success).toBe(false);
});
