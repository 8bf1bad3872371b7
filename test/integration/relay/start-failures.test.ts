import { writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { selfSigned } from '#test/parts/certificate.ts';
import { runProcess } from '#test/parts/process.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';

// What a relay that cannot start says: one line of its log, with the setting, and no stack of calls.

const stack = new AsyncDisposableStack();
let folder: string;
let taken: Server;

beforeAll(async () => {
  folder = stack.use(await temporaryDirectory('start-failures')).path;
  const [ours, other] = [selfSigned(), selfSigned()];
  await writeFile(join(folder, 'tls.crt'), ours.cert);
  await writeFile(join(folder, 'tls.key'), ours.key);
  await writeFile(join(folder, 'other.key'), other.key);
  await writeFile(join(folder, 'no.pem'), 'hunter2');
  taken = stack.adopt(createServer(), (server) => void server.close());
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
});
afterAll(() => stack.disposeAsync());

const tls = (cert: string, key: string) => ({
  TLS_CERT_FILE: join(folder, cert),
  TLS_KEY_FILE: join(folder, key),
});

test.each([
  [
    'a certificate that is not there',
    () => tls('absent', 'tls.key'),
    'TLS_CERT_FILE: the file cannot be read (ENOENT)',
  ],
  ['a key that is none', () => tls('tls.crt', 'no.pem'), 'TLS_KEY_FILE: the file is not PEM'],
  ['a key of another certificate', () => tls('tls.crt', 'other.key'), 'TLS_CERT_FILE and TLS_KEY_FILE: '],
  ['a port that is taken', () => ({ PORT: String((taken.address() as AddressInfo).port) }), 'EADDRINUSE'],
  ['no address of this machine', () => ({ HOST: '192.0.2.1' }), 'EADDRNOTAVAIL'],
])('%s', async (_, settings, message) => {
  const { code, stdout, stderr } = await runProcess(
    {
      command: process.execPath,
      args: ['relay/main.ts'],
      env: {
        // Nobody is there: a relay waits for Redis, and does not end.
        REDIS_URL: 'redis://127.0.0.1:1',
        DIRECTORY_KEYS: `one:${Buffer.alloc(32, 1).toString('base64')}`,
        HOST: '127.0.0.1',
        PORT: '0',
        METRICS_PORT: '0',
        LOG_LEVEL: 'fatal',
        ...settings(),
      },
    },
    { timeoutMs: 30_000 },
  );
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  expect(stdout.trim().split('\n')).toHaveLength(1);
  expect(JSON.parse(stdout)).toMatchObject({
    level: 60,
    msg: 'the relay cannot run',
    message: expect.stringContaining(message) as string,
  });
  expect(stdout).not.toContain('hunter2');
});
