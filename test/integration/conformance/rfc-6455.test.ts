import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Relay } from '#relay/relay.ts';
import { eventually } from '#test/parts/eventually.ts';
import { MemoryWorld } from '../relay/memory-relay.ts';
import { closePayload, frameBytes, handshake, Opcode, RawWebSocket, textFrame } from './raw-web-socket.ts';

// RFC 6455: what a client may do works, what it must not do ends with the code that the RFC names. Long, because it is a table: one row for
// each demand of the RFC.

const world = new MemoryWorld();
let relay: Relay;
const EVENT_BYTES = 1_000;
/** 64 KiB for control messages and six bytes for each byte of an event (relay/server/upgrade.ts). */
const LARGEST_MESSAGE = 64 * 1024 + 6 * EVENT_BYTES;

beforeAll(async () => {
  await world.directory.setApp({
    limits: { connections: null, eventBytes: EVENT_BYTES, clientEventsPerSecond: 10, presenceMembers: 100, rate: null },
  });
  relay = await world.relay();
});
afterAll(() => relay[Symbol.asyncDispose]());

const PATH = '/app/appkey?protocol=7';
const ping = textFrame({ event: 'pusher:ping', data: {} });
const PING_TEXT = Buffer.from(JSON.stringify({ event: 'pusher:ping', data: {} }));
const established = (): Promise<RawWebSocket> => RawWebSocket.established(relay.port);

describe('the opening handshake', () => {
  const answer = async (request: string): Promise<string> => {
    await using raw = new RawWebSocket(relay.port);
    raw.send(request);
    return await eventually(() => raw.head !== '' && raw.head, { describe: 'an answer' });
  };

  test('the accept key is computed from the client key', async () => {
    const key = 'dGhlIHNhbXBsZSBub25jZQ==';
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    const head = await answer(handshake(PATH, { 'Sec-WebSocket-Key': key }));
    expect(head).toMatch(/^HTTP\/1\.1 101 /);
    expect(head).toContain(`\r\nSec-WebSocket-Accept: ${accept}\r\n`);
  });

  test.each<[string, Record<string, string | undefined>]>([
    ['header names and values in any case', { Upgrade: 'WebSocket', Connection: 'keep-alive, upgrade' }],
    ['an extension that is not taken up', { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' }],
  ])('%s → 101, and no extension', async (_, headers) => {
    const head = await answer(handshake(PATH, headers));
    expect(head).toMatch(/^HTTP\/1\.1 101 /);
    expect(head.toLowerCase()).not.toContain('sec-websocket-extensions');
  });

  test.each<[string, number, string]>([
    ['version 12', 426, handshake(PATH, { 'Sec-WebSocket-Version': '12' })],
    ['version 8, of a draft', 426, handshake(PATH, { 'Sec-WebSocket-Version': '8' })],
    ['version 0', 426, handshake(PATH, { 'Sec-WebSocket-Version': '0' })],
    ['a version that is no number', 426, handshake(PATH, { 'Sec-WebSocket-Version': 'thirteen' })],
    ['no version', 426, handshake(PATH, { 'Sec-WebSocket-Version': undefined })],
    ['no key', 400, handshake(PATH, { 'Sec-WebSocket-Key': undefined })],
    ['an empty key', 400, handshake(PATH, { 'Sec-WebSocket-Key': '' })],
    ['a key of 15 bytes', 400, handshake(PATH, { 'Sec-WebSocket-Key': Buffer.alloc(15).toString('base64') })],
    ['a key of 17 bytes', 400, handshake(PATH, { 'Sec-WebSocket-Key': Buffer.alloc(17).toString('base64') })],
    ['a key that is no base64', 400, handshake(PATH, { 'Sec-WebSocket-Key': '#'.repeat(24) })],
    ['an upgrade to something else, as an ordinary request', 404, handshake(PATH, { Upgrade: 'tls/1.0' })],
    ['HTTP/1.0', 400, handshake(PATH).replace('HTTP/1.1', 'HTTP/1.0')],
    ['POST', 405, handshake(PATH).replace('GET', 'POST')],
    [
      'two different keys',
      400,
      handshake(PATH).replace('Sec-WebSocket-Key', 'Sec-WebSocket-Key: x\r\nSec-WebSocket-Key'),
    ],
  ])('%s → %i', async (_, status, request) => {
    const head = await answer(request);
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    // 4.4: who speaks another version is told the one that is spoken here.
    if (status === 426) expect(head).toMatch(/\r\nSec-WebSocket-Version: 13\r\n/);
  });

  test('frames that come with the handshake in one packet are answered', async () => {
    await using raw = new RawWebSocket(relay.port);
    raw.send(handshake(PATH), ping);
    await raw.text('pusher:pong');
  });
});

describe('what a client may do', () => {
  test('frames of the server are final, unmasked, without reserved bits', async () => {
    await using raw = await established();
    raw.send(ping, frameBytes(Opcode.ping, 'x'));
    await raw.frame(Opcode.pong);
    expect(raw.frames.map(({ fin, rsv, masked }) => ({ fin, rsv, masked }))).toEqual(
      raw.frames.map(() => ({ fin: true, rsv: 0, masked: false })),
    );
  });

  test.each<[string, Buffer[]]>([
    ['in one frame', [ping]],
    [
      'in two fragments',
      [
        frameBytes(Opcode.text, PING_TEXT.subarray(0, 9), { fin: false }),
        frameBytes(Opcode.continuation, PING_TEXT.subarray(9)),
      ],
    ],
    [
      'in a fragment for each byte',
      [...PING_TEXT].map((byte, at) =>
        frameBytes(at === 0 ? Opcode.text : Opcode.continuation, Buffer.from([byte]), {
          fin: at === PING_TEXT.length - 1,
        }),
      ),
    ],
    [
      'with empty fragments before, between and after',
      [
        frameBytes(Opcode.text, '', { fin: false }),
        frameBytes(Opcode.continuation, PING_TEXT.subarray(0, 9), { fin: false }),
        frameBytes(Opcode.continuation, '', { fin: false }),
        frameBytes(Opcode.continuation, PING_TEXT.subarray(9), { fin: false }),
        frameBytes(Opcode.continuation, ''),
      ],
    ],
    [
      'with control frames between its fragments',
      [
        frameBytes(Opcode.text, PING_TEXT.subarray(0, 9), { fin: false }),
        frameBytes(Opcode.ping, 'between'),
        frameBytes(Opcode.pong, ''),
        frameBytes(Opcode.continuation, PING_TEXT.subarray(9)),
      ],
    ],
    ['after a pong that nobody asked for', [frameBytes(Opcode.pong, 'unsolicited'), ping]],
  ])('a message %s is answered', async (_, frames) => {
    await using raw = await established();
    raw.send(...frames);
    await raw.text('pusher:pong');
  });

  test('a message that arrives byte by byte is answered', async () => {
    await using raw = await established();
    await raw.sendSlowly(ping);
    await raw.text('pusher:pong');
  });

  test('a ping between fragments is answered before the message is complete', async () => {
    await using raw = await established();
    raw.send(frameBytes(Opcode.text, PING_TEXT.subarray(0, 9), { fin: false }), frameBytes(Opcode.ping, 'now'));
    expect((await raw.frame(Opcode.pong)).payload.toString()).toBe('now');
    raw.send(frameBytes(Opcode.continuation, PING_TEXT.subarray(9)));
    await raw.text('pusher:pong');
  });

  test.each([0, 1, 125])('a ping of %i bytes is answered with the same bytes', async (length) => {
    await using raw = await established();
    const payload = Buffer.alloc(length, 0xfe);
    raw.send(frameBytes(Opcode.ping, payload));
    expect((await raw.frame(Opcode.pong)).payload).toEqual(payload);
  });

  test('pings are answered in their order', async () => {
    await using raw = await established();
    raw.send(...['1', '2', '3'].map((text) => frameBytes(Opcode.ping, text)));
    const pongs = (): string[] =>
      raw.frames.filter(({ opcode }) => opcode === Opcode.pong).map(({ payload }) => payload.toString());
    await eventually(() => pongs().length === 3);
    expect(pongs()).toEqual(['1', '2', '3']);
  });

  test('a character split over fragments and over packets is whole again', async () => {
    await using raw = await established();
    const text = Buffer.from(JSON.stringify({ event: 'pusher:subscribe', data: { channel: 'κόσμε 𝄞' } }));
    const middle = text.indexOf(Buffer.from('𝄞')) + 2;
    raw.send(
      frameBytes(Opcode.text, text.subarray(0, middle), { fin: false }),
      frameBytes(Opcode.continuation, text.subarray(middle)),
    );
    // Not a valid name, so it comes back in the words of the refusal.
    await raw.text('κόσμε 𝄞');
  });

  test('the largest message is read', async () => {
    await using raw = await established();
    const padding = LARGEST_MESSAGE - Buffer.byteLength(JSON.stringify({ event: 'pusher:ping', data: '' }));
    raw.send(textFrame({ event: 'pusher:ping', data: 'x'.repeat(padding) }));
    await raw.text('pusher:pong');
  });
});

const utf8: [string, number[]][] = [
  ['a lone continuation byte', [0x80]],
  ['a byte that never occurs', [0xff]],
  ['an overlong slash', [0xc0, 0xaf]],
  ['an overlong character of three bytes', [0xe0, 0x80, 0xaf]],
  ['a surrogate', [0xed, 0xa0, 0x80]],
  ['a code point above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ['a character cut off at the end', [0xf0, 0x9d, 0x84]],
];

describe('what a client must not do', () => {
  test.each<[string, number, Buffer[]]>([
    ['an unmasked text', 1002, [frameBytes(Opcode.text, '{}', { masked: false })]],
    ['an unmasked ping', 1002, [frameBytes(Opcode.ping, '', { masked: false })]],
    ['an unmasked close', 1002, [frameBytes(Opcode.close, closePayload(1000), { masked: false })]],
    ...[1, 2, 4, 7].map((rsv): [string, number, Buffer[]] => [
      `reserved bits ${rsv} on a text`,
      1002,
      [frameBytes(Opcode.text, '{}', { rsv })],
    ]),
    ['a reserved bit on a ping', 1002, [frameBytes(Opcode.ping, '', { rsv: 4 })]],
    ['a reserved bit on a close', 1002, [frameBytes(Opcode.close, '', { rsv: 4 })]],
    [
      'a reserved bit on a continuation',
      1002,
      [frameBytes(Opcode.text, '{', { fin: false }), frameBytes(Opcode.continuation, '}', { rsv: 4 })],
    ],
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, number, Buffer[]] => [
      `the reserved opcode ${opcode}`,
      1002,
      [frameBytes(opcode, '{}')],
    ]),
    ['a continuation of nothing', 1002, [frameBytes(Opcode.continuation, '{}')]],
    ['a continuation of nothing, to be continued', 1002, [frameBytes(Opcode.continuation, '{}', { fin: false })]],
    ['a continuation after a whole message', 1002, [ping, frameBytes(Opcode.continuation, '{}')]],
    ['a new message within another', 1002, [frameBytes(Opcode.text, '{', { fin: false }), ping]],
    ['a fragmented ping', 1002, [frameBytes(Opcode.ping, 'x', { fin: false })]],
    ['a fragmented pong', 1002, [frameBytes(Opcode.pong, 'x', { fin: false })]],
    ['a fragmented close', 1002, [frameBytes(Opcode.close, closePayload(1000), { fin: false })]],
    ['a ping of 126 bytes', 1002, [frameBytes(Opcode.ping, Buffer.alloc(126))]],
    ['a pong of 126 bytes', 1002, [frameBytes(Opcode.pong, Buffer.alloc(126))]],
    ['a close of 126 bytes', 1002, [frameBytes(Opcode.close, closePayload(1000, 'x'.repeat(124)))]],
    ['a binary message', 1003, [frameBytes(Opcode.binary, '{}')]],
    [
      'a binary message in fragments',
      1003,
      [frameBytes(Opcode.binary, '{', { fin: false }), frameBytes(Opcode.continuation, '}')],
    ],
    ...utf8.map(([name, bytes]): [string, number, Buffer[]] => [
      `text with ${name}`,
      1007,
      [frameBytes(Opcode.text, Buffer.from(bytes))],
    ]),
    ...utf8.map(([name, bytes]): [string, number, Buffer[]] => [
      `text in fragments of a byte with ${name}`,
      1007,
      bytes.map((byte, at) =>
        frameBytes(at === 0 ? Opcode.text : Opcode.continuation, Buffer.from([byte]), { fin: at === bytes.length - 1 }),
      ),
    ]),
    ['a message that is one byte too long', 1009, [frameBytes(Opcode.text, Buffer.alloc(LARGEST_MESSAGE + 1, 0x20))]],
    ['an announced length of 2^62', 1009, [Buffer.from([0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])]],
    [
      'fragments that are one byte too long together',
      1009,
      [
        frameBytes(Opcode.text, Buffer.alloc(LARGEST_MESSAGE, 0x20), { fin: false }),
        frameBytes(Opcode.continuation, ' '),
      ],
    ],
    [
      'a fragment after a message that is full, to be continued',
      1009,
      [
        frameBytes(Opcode.text, Buffer.alloc(LARGEST_MESSAGE, 0x20), { fin: false }),
        frameBytes(Opcode.continuation, ' ', { fin: false }),
      ],
    ],
  ])('%s → %i', async (_, code, bytes) => {
    await using raw = await established();
    raw.send(...bytes);
    expect(await raw.closeCode()).toBe(code);
  });
});

describe('the close handshake', () => {
  test.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])(
    'a client that closes with %i gets the code back, then TCP ends',
    async (code) => {
      await using raw = await established();
      raw.send(frameBytes(Opcode.close, closePayload(code, 'goodbye')));
      expect(await raw.closeCode()).toBe(code);
      await eventually(() => raw.ended);
    },
  );

  test('a close without a code gets one without a code', async () => {
    await using raw = await established();
    raw.send(frameBytes(Opcode.close));
    expect(await raw.closeCode()).toBe(1005);
    await eventually(() => raw.ended);
  });

  test('a reason of 123 bytes is allowed', async () => {
    await using raw = await established();
    raw.send(frameBytes(Opcode.close, closePayload(1000, 'x'.repeat(123))));
    expect(await raw.closeCode()).toBe(1000);
  });

  test.each([0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])(
    'the code %i must not be on the wire → 1002',
    async (code) => {
      await using raw = await established();
      raw.send(frameBytes(Opcode.close, closePayload(code)));
      expect(await raw.closeCode()).toBe(1002);
    },
  );

  test('half a code → 1002', async () => {
    await using raw = await established();
    raw.send(frameBytes(Opcode.close, Buffer.from([3])));
    expect(await raw.closeCode()).toBe(1002);
  });

  test.each(utf8)('a reason with %s → 1007', async (_, bytes) => {
    await using raw = await established();
    raw.send(frameBytes(Opcode.close, closePayload(1000, Buffer.from(bytes))));
    expect(await raw.closeCode()).toBe(1007);
  });

  test('what comes after a close frame is not looked at', async () => {
    await using raw = await established();
    raw.send(frameBytes(Opcode.close, closePayload(1000)), ping, frameBytes(Opcode.ping, 'late'), Buffer.alloc(64));
    expect(await raw.closeCode()).toBe(1000);
    await eventually(() => raw.ended);
    expect(raw.texts().filter((text) => text.includes('pusher:pong'))).toEqual([]);
    expect(raw.frames.filter(({ opcode }) => opcode === Opcode.pong)).toEqual([]);
    expect(raw.frames.filter(({ opcode }) => opcode === Opcode.close)).toHaveLength(1);
  });

  test('a close within a fragmented message is answered', async () => {
    await using raw = await established();
    raw.send(frameBytes(Opcode.text, '{', { fin: false }), frameBytes(Opcode.close, closePayload(1000)));
    expect(await raw.closeCode()).toBe(1000);
  });

  test('a failure is told once, and TCP ends although the client never closes', async () => {
    await using raw = await established();
    raw.send(frameBytes(3, '{}'), ping, frameBytes(Opcode.ping, 'late'));
    expect(await raw.closeCode()).toBe(1002);
    await eventually(() => raw.ended);
    expect(raw.frames.filter(({ opcode }) => opcode === Opcode.pong)).toEqual([]);
  });

  test('a server that closes says why, waits for the answer, ends TCP; nothing is sent after its close frame', async () => {
    await using raw = new RawWebSocket(relay.port);
    raw.send(handshake('/app/nobody?protocol=7'));
    expect(await raw.closeCode()).toBe(4001);
    expect(raw.ended).toBe(false);
    raw.send(ping, frameBytes(Opcode.close, closePayload(4001)));
    await eventually(() => raw.ended);
    expect(raw.frames.map(({ opcode }) => opcode)).toEqual([Opcode.text, Opcode.close]);
  });

  test('a server that closes does not wait for ever for an answer', async () => {
    await using raw = new RawWebSocket(relay.port);
    raw.send(handshake('/app/nobody?protocol=7'));
    expect(await raw.closeCode()).toBe(4001);
    await eventually(() => raw.ended);
  });

  test('a client that only ends TCP is gone from the relay', async () => {
    const raw = await established();
    raw.end();
    await eventually(() => raw.ended);
    const metrics = async (): Promise<string> => (await fetch(`http://127.0.0.1:${relay.metricsPort}/metrics`)).text();
    await eventually(async () => (await metrics()).includes('relay_connections 0'));
  });
});
