import { expect, test } from 'vitest';
import { readConfig } from './config.ts';

test('without arguments it is the example folder, on the loopback interface', () => {
  expect(readConfig([], {})).toEqual({
    kind: 'config',
    config: {
      folder: 'examples/standalone',
      port: 6001,
      host: '127.0.0.1',
      data: '.relay',
      logFormat: 'text',
      logLevel: 'warn',
    },
  });
});

test('flags win over LOG_LEVEL, and JSON logs tell more', () => {
  const args = ['standalone', '--port', '0', '--data', 'd', '--log-format', 'json'];
  expect(readConfig(args, {})).toMatchObject({
    config: { folder: 'standalone', port: 0, data: 'd', logLevel: 'info' },
  });
  expect(readConfig(args, { LOG_LEVEL: 'debug' })).toMatchObject({ config: { logLevel: 'debug' } });
  const both = [...args, '--log-level', 'error'];
  expect(readConfig(both, { LOG_LEVEL: 'debug' })).toMatchObject({ config: { logLevel: 'error' } });
});

test.each([
  [['--port', '70000'], /^--port: /],
  [['--port', 'http'], /^--port: expected a number from 0 to 65535/],
  [['--port', '99999'], /^--port: expected a number from 0 to 65535/],
  [['no/such/folder'], /^no\/such\/folder: there is no such folder/],
  [['package.json'], /^package\.json: there is no such folder/],
  [['standalone', 'crds'], /^expected one folder, found standalone crds/],
  [['--prot', '1'], /--prot/],
  [['--log-format', 'xml'], /^--log-format: expected text or json/],
])('%j is refused with what was expected', (args, expected) => {
  const result = readConfig(args, {});
  expect(result).toMatchObject({ kind: 'invalid', text: expect.stringMatching(expected) });
});

test('--help names every option', () => {
  const result = readConfig(['--help'], {});
  for (const option of ['--port', '--host', '--data', '--log-format', '--log-level', 'DIR'])
    expect(result).toMatchObject({ kind: 'help', text: expect.stringContaining(option) });
});
