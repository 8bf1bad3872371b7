import { expect, test } from 'vitest';
import { loggedError } from './logged-error.ts';

test('name, code, message, stack and cause are logged, and nothing else that hangs on an error', () => {
  const cause = Object.assign(new TypeError('inner'), {
    command: { name: 'hello', args: ['3', 'AUTH', 'u', 'secret'] },
  });
  const error = Object.assign(new Error('outer', { cause }), { code: 'ECONNREFUSED', config: { password: 'secret' } });
  const logged = loggedError(error);
  expect(logged).toEqual({
    type: 'Error',
    code: 'ECONNREFUSED',
    message: 'outer',
    stack: error.stack,
    cause: { type: 'TypeError', message: 'inner', stack: cause.stack },
  });
  expect(JSON.stringify(logged)).not.toContain('secret');
});

test('what is not an error is named by its type', () => {
  expect(loggedError('text')).toEqual({ type: 'string', message: 'text' });
});
