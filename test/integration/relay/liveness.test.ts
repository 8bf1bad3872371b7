import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Relay } from '#relay/relay.ts';
import { eventually } from '#test/parts/eventually.ts';
import { MemoryWorld } from './memory-relay.ts';
import { TestClient } from './test-client.ts';

/** Clients that say nothing for longer than they may, at a relay whose clock is put forward. */
const world = new MemoryWorld();
let relay: Relay;
let ahead = 0;

beforeAll(async () => {
  await world.directory.setApp();
  relay = await world.relay({}, { now: () => performance.now() + ahead });
});
afterAll(() => relay[Symbol.asyncDispose]());

/** Milliseconds after the beginning of a test. The clock never goes back. */
let begin = 0;
beforeEach(() => {
  begin = ahead;
});
const at = (ms: number): void => {
  ahead = begin + ms;
};

const connected = async (protocol: number): Promise<TestClient & { readonly pings: number }> => {
  const url = `ws://127.0.0.1:${relay.port}/app/appkey?protocol=${protocol}`;
  const client = Object.assign(new TestClient(url, { autoPong: false }), { pings: 0 });
  client.webSocket.on('ping', () => (client.pings += 1));
  await client.event('pusher:connection_established');
  return client;
};

test('a client that is silent for 120 s is asked; one that does not answer within 30 s is closed with 4201', async () => {
  await using silent = await connected(7);
  await using answering = await connected(7);
  await using talking = await connected(7);
  at(119_000);
  await talking.settled();
  at(121_000);
  await Promise.all([silent.event('pusher:ping'), answering.event('pusher:ping')]);
  answering.send({ event: 'pusher:pong', data: {} });
  // What comes later on another connection is read later.
  await talking.settled();
  at(152_000);
  expect(await silent.closed()).toBe(4201);
  expect(silent.received.at(-1)).toMatchObject({ event: 'pusher:error', data: { code: 4201 } });
  await Promise.all([answering.settled(), talking.settled()]);
  expect(talking.received.some(({ event }) => event === 'pusher:ping')).toBe(false);
  expect([silent.pings, answering.pings]).toEqual([0, 0]);
});

test('one of protocol 4, which has no pusher:ping, is asked by a ping of WebSocket, and closed with 4202', async () => {
  await using silent = await connected(4);
  await using answering = await connected(4);
  await using talking = await connected(4);
  at(119_000);
  await talking.settled();
  at(121_000);
  await eventually(() => silent.pings === 1 && answering.pings === 1);
  answering.webSocket.pong();
  await talking.settled();
  at(152_000);
  expect(await silent.closed()).toBe(4202);
  expect(silent.received.at(-1)).toMatchObject({ event: 'pusher:error', data: { code: 4202 } });
  await answering.settled();
  expect(silent.received.some(({ event }) => event === 'pusher:ping')).toBe(false);
});
