import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startTcpProxy } from '#test/parts/tcp-proxy.ts';

async function echo(): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

test('hold keeps the connection and the bytes, pass delivers them', async () => {
  const target = await echo();
  await using proxy = await startTcpProxy({ port: target });
  const client = createConnection({ port: proxy.port, host: proxy.host });
  client.setEncoding('utf8');
  client.write('one');
  expect(await once(client, 'data')).toEqual(['one']);
  proxy.hold();
  let seen = '';
  client.on('data', (chunk: string) => (seen += chunk));
  client.write('two');
  const other = createConnection({ port: proxy.port, host: proxy.host });
  await once(other, 'connect');
  // While the target answers others many times over, what is held would have come back.
  const direct = createConnection({ port: target, host: '127.0.0.1' });
  for (let round = 0; round < 50; round += 1) {
    direct.write('x');
    await once(direct, 'data');
  }
  direct.destroy();
  expect(seen).toBe('');
  proxy.pass();
  if (seen === '') await once(client, 'data');
  expect(seen).toBe('two');
  client.destroy();
  other.destroy();
});

test('drop resets what is open and accepts new connections; refuse resets those too', async () => {
  await using proxy = await startTcpProxy({ port: await echo() });
  const first = createConnection({ port: proxy.port, host: proxy.host });
  first.write('x');
  await once(first, 'data');
  proxy.drop();
  await expect(once(first, 'close')).rejects.toThrow('ECONNRESET');
  const second = createConnection({ port: proxy.port, host: proxy.host });
  second.write('y');
  expect(String((await once(second, 'data'))[0])).toBe('y');
  proxy.refuse();
  await expect(once(second, 'close')).rejects.toThrow('ECONNRESET');
  const third = createConnection({ port: proxy.port, host: proxy.host });
  await expect(once(third, 'close')).rejects.toThrow('ECONNRESET');
  expect(proxy.connections).toBe(0);
});
