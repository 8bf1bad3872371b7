import { createServer, connect, type Server } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';
import { freePort } from '#test/parts/free-port.ts';
import { startRoundRobin } from '#test/parts/round-robin.ts';

/** Says its name to everybody, then repeats what it is told. */
async function named(name: string): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write(name);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { server, port: address.port };
}

async function answer(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  socket.end('!');
  await closed;
  return text;
}

test('each connection goes to the next server, there and back; one that is gone ends its connections and no others', async () => {
  const [a, b] = [await named('a'), await named('b')];
  const nobody = await freePort();
  await using balanced = await startRoundRobin([a.port, b.port, nobody]);
  const answers: string[] = [];
  for (let n = 0; n < 6; n++) answers.push(await answer(balanced.port));
  expect(answers).toEqual(['a!', 'b!', '', 'a!', 'b!', '']);
  expect(balanced.given).toEqual([2, 2, 2]);

  const socket = connect(balanced.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'data');
  let isOver = false;
  socket.once('close', () => (isOver = true));
  a.server.close();
  a.server.unref();
  socket.destroy();
  await eventually(() => isOver);
  b.server.close();
});
