import { connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';
import {
  metricsOf,
  serverSdk,
  startRelayInstallation,
  type RelayInstallation,
  type RelayProcess,
} from '../relay/relay-installation.ts';
import { TestClient } from '../relay/test-client.ts';
import { effort } from './effort.ts';
import { CHANNELS, frames, rawBytes, requests, utterances } from './hostile-input.ts';
import { frameBytes, handshake, Opcode, RawWebSocket } from './raw-web-socket.ts';
import { subscribeMessage } from './signed-messages.ts';

// Whatever a client of app 101 says to a relay process: it lives on, forgets the client, and app 102, which has the same channels and a
// user of the same name in them, hears nothing.

let installation: RelayInstallation;
let relay: RelayProcess;
let canary: TestClient;
let bearer: string;
let startedAs: number;
const attacked = { key: '101key', secret: '101secret' };
const CANARY = { key: '102key', secret: '102secret' };

beforeAll(async () => {
  installation = await startRelayInstallation(inject('postgresUrl'));
  [relay] = (await installation.relays('relay-1')) as [RelayProcess];
  for (const appId of ['101', '102']) {
    await installation.app({
      appId,
      limits: { clientEventsPerSecond: 1_000 },
      channels: { watchlists: true, subscriptionCounts: true },
    });
  }
  bearer = await installation.token('101');
  startedAs = relay.process.pid;
  canary = await TestClient.connected(relay.port, CANARY.key);
  for (const channel of CHANNELS) {
    const member = channel.startsWith('presence-') ? { user_id: '1' } : undefined;
    canary.send(subscribeMessage(CANARY, canary.socketId, channel, member));
    await canary.event('pusher_internal:subscription_succeeded', channel);
  }
  await canary.settled();
});
afterAll(async () => {
  await canary?.[Symbol.asyncDispose]();
  await installation[Symbol.asyncDispose]();
});

/** The same process, alive, with no connection but the canary's; and the canary has heard what its own app says, and nothing else. */
async function unharmed(heard: readonly unknown[]): Promise<void> {
  expect(relay.process.ended).toBe(false);
  expect(relay.process.pid).toBe(startedAs);
  expect((await fetch(`http://127.0.0.1:${relay.metricsPort}/livez`)).status).toBe(200);
  await eventually(async () => /^relay_connections 1$/m.test(await metricsOf(relay)));
  await canary.settled();
  expect(canary.received.filter(({ event }) => event !== 'pusher:pong')).toEqual(heard);
  for (const channel of CHANNELS) {
    if (channel.startsWith('private-encrypted-')) continue;
    await serverSdk(relay, { appId: '102' }).trigger(channel, 'own', '');
    await canary.event('own', channel);
  }
  canary.received.splice(0, canary.received.length, ...heard.map((frame) => frame as never));
}
const heardSoFar = (): readonly unknown[] => canary.received.filter(({ event }) => event !== 'pusher:pong');

describe('arbitrary input', () => {
  test('bytes instead of HTTP', async () => {
    const heard = heardSoFar();
    await fc.assert(
      fc.asyncProperty(rawBytes, async (bytes) => {
        const socket = connect(relay.port, '127.0.0.1');
        socket.on('error', () => undefined);
        socket.on('data', () => undefined);
        socket.end(bytes);
        await new Promise((resolve) => socket.on('close', resolve));
      }),
      effort(150),
    );
    await unharmed(heard);
  });

  test('bytes instead of frames', async () => {
    const heard = heardSoFar();
    await fc.assert(
      fc.asyncProperty(rawBytes, async (bytes) => {
        await using raw = new RawWebSocket(relay.port);
        raw.send(handshake('/app/101key?protocol=7'), bytes);
        raw.end();
        await eventually(() => raw.ended, { interval: 2 });
      }),
      effort(150),
    );
    await unharmed(heard);
  });

  test('frames: each connection answers on or is closed, none hangs', async () => {
    const heard = heardSoFar();
    await fc.assert(
      fc.asyncProperty(frames, async (parts) => {
        await using raw = await RawWebSocket.established(relay.port, attacked.key);
        raw.send(...parts);
        raw.end();
        await eventually(() => raw.ended, { interval: 2 });
      }),
      effort(200),
    );
    await unharmed(heard);
  });

  test('messages near the grammar: the connection answers the ping after them, or was closed with a code', async () => {
    const heard = heardSoFar();
    await fc.assert(
      fc.asyncProperty(utterances, async (said) => {
        await using raw = await RawWebSocket.established(relay.port, attacked.key);
        const texts = said.map((utterance) => utterance(raw.socketId, attacked));
        raw.send(...texts.map((text) => frameBytes(Opcode.text, text)), frameBytes(Opcode.ping));
        const answers: readonly number[] = [Opcode.pong, Opcode.close];
        await eventually(() => raw.ended || raw.frames.some(({ opcode }) => answers.includes(opcode)), {
          interval: 2,
          describe: `an answer after ${JSON.stringify(texts)}`,
        });
        if (!raw.frames.some(({ opcode }) => opcode === Opcode.pong))
          expect([1009, 4009]).toContain(await raw.closeCode());
      }),
      effort(300),
    );
    await unharmed(heard);
  });

  test('requests near the HTTP API: an answer, and never 5xx', async () => {
    const heard = heardSoFar();
    await fc.assert(
      fc.asyncProperty(requests, async ({ method, path, query, body }) => {
        const search = query.map((pair) => pair.join('=')).join('&');
        const response = await fetch(`http://127.0.0.1:${relay.port}${path}?${search}`, {
          method,
          headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
          ...(method === 'GET' || method === 'HEAD' ? {} : { body }),
        });
        await response.arrayBuffer();
        expect(response.status).toBeLessThan(500);
        expect(response.headers.get('x-request-id')).not.toBeNull();
      }),
      effort(400),
    );
    await unharmed(heard);
  });
});
