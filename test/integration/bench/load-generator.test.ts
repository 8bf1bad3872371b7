import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { expect, test } from 'vitest';
import { WebSocketServer, type WebSocket } from 'ws';
import { isClean, runLoad, type LoadResult } from '#bench/load.ts';
import { MemoryWorld } from '../relay/memory-relay.ts';

/** What the server does to the third event it gets, for the first subscriber only. */
type Lie = 'none' | 'loses' | 'repeats' | 'swaps channels' | 'closes';

const LOAD = ['--mode', 'rate', '--rate', '50', '--sockets', '4', '--channels', '2', '--lanes', '1', '--warmup', '0'];
const run = (port: number): Promise<LoadResult> =>
  runLoad({ port, pids: [process.pid] }, [...LOAD, '--seconds', '0.4']);

/** Speaks just enough, and lies. */
async function startLiar(lie: Lie): Promise<AsyncDisposable & { readonly port: number }> {
  const members = new Map<string, WebSocket[]>();
  let events = 0;
  const deliver = (channel: string, data: string): void => {
    events += 1;
    for (const [index, socket] of (members.get(channel) ?? []).entries()) {
      const lies = events === 3 && index === 0 ? lie : 'none';
      if (lies === 'closes') socket.terminate();
      const text = JSON.stringify({
        event: 'bench-event',
        channel,
        data: lies === 'swaps channels' ? swapped(data) : data,
      });
      if (lies !== 'loses' && lies !== 'closes') socket.send(text);
      if (lies === 'repeats') socket.send(text);
    }
  };
  const server: Server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { channels, data } = JSON.parse(body) as { channels: string[]; data: string };
      for (const channel of channels) deliver(channel, data);
      response.writeHead(200, { 'content-length': 2 }).end('{}');
    });
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.send('{"event":"pusher:connection_established","data":"{}"}');
    socket.on('message', (message: Buffer) => {
      const { channel } = (JSON.parse(message.toString()) as { data: { channel: string } }).data;
      members.set(channel, [...(members.get(channel) ?? []), socket]);
      socket.send(JSON.stringify({ event: 'pusher_internal:subscription_succeeded', channel, data: '{}' }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets.clients) socket.terminate();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** The generator's data begins with `~lane channel …`. */
const swapped = (data: string): string => data.replace(/ 0000([01]) /, (_, digit) => ` 0000${digit === '0' ? 1 : 0} `);

test.each<[Lie, Partial<LoadResult>]>([
  ['none', { lost: 0, duplicated: 0, misrouted: 0, closed: 0 }],
  ['loses', { lost: 1, duplicated: 0, misrouted: 0, closed: 0 }],
  ['repeats', { lost: 0, duplicated: 1, misrouted: 0, closed: 0 }],
  // It never arrived where it belongs, so it is lost as well.
  ['swaps channels', { lost: 1, duplicated: 0, misrouted: 1, closed: 0 }],
  ['closes', { closed: 1 }],
])('a server that lies (%s) is found out', async (lie, expected) => {
  await using server = await startLiar(lie);
  const result = await run(server.port);
  expect(result).toMatchObject(expected);
  expect(isClean(result)).toBe(lie === 'none');
  expect(result.publishedInAll).toBeGreaterThan(3);
});

test('a refused publish is counted, signed or not', async () => {
  const world = new MemoryWorld();
  await using relay = await world.relay();
  await world.directory.setApp({ keys: [{ id: 'k1', key: 'appkey', secret: 'another' }] });
  for (const signed of [[], ['--signed']]) {
    const result = await runLoad({ port: relay.port, pids: [] }, [...LOAD, '--seconds', '0.1', ...signed]);
    expect(result.refused).toBeGreaterThan(0);
    expect(result.delivered).toBe(0);
  }
});

test.each([
  ['events', []],
  ['signed events', ['--signed']],
  ['signed batches', ['--signed', '--mode', 'burst', '--batch', '10']],
])('the relay delivers every event once: %s', async (_, args) => {
  const world = new MemoryWorld();
  await using relay = await world.relay();
  await world.directory.setApp();
  const result = await runLoad({ port: relay.port, pids: [] }, [...LOAD, '--seconds', '0.4', ...args]);
  expect(result).toMatchObject({ lost: 0, duplicated: 0, misrouted: 0, closed: 0, refused: 0 });
  // Each event has two subscribers.
  expect(result.deliveredInAll).toBe(2 * result.publishedInAll);
});
