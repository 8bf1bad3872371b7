import { expect, test } from 'vitest';
import { mailCaution } from './mail-caution.ts';

test('who asks for mail that nobody can send is told so', () => {
  expect(mailCaution(['platform@example.com'], false)).toMatchObject([{ reason: 'MailNotConfigured' }]);
  expect(mailCaution(['platform@example.com'], true)).toEqual([]);
  expect(mailCaution([], false)).toEqual([]);
});
