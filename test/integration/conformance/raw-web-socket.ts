import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { eventually } from '#test/parts/eventually.ts';

/** A frame as it is on the wire (RFC 6455, 5.2). */
export type Frame = {
  readonly fin: boolean;
  /** The three reserved bits, 0 to 7. */
  readonly rsv: number;
  readonly opcode: number;
  readonly masked: boolean;
  readonly payload: Buffer;
};

export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** The bytes of a frame, by default as a client must send it: final, masked with a random key. */
export function frameBytes(
  opcode: number,
  payload: string | Uint8Array = '',
  {
    fin = true,
    rsv = 0,
    masked = true,
  }: { readonly fin?: boolean; readonly rsv?: number; readonly masked?: boolean } = {},
): Buffer {
  const body = Buffer.from(payload);
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  const maskBit = masked ? 0x80 : 0;
  const length = Buffer.alloc(body.length < 126 ? 0 : body.length < 65_536 ? 2 : 8);
  if (length.length === 2) length.writeUInt16BE(body.length);
  if (length.length === 8) length.writeBigUInt64BE(BigInt(body.length));
  const short = length.length === 0 ? body.length : length.length === 2 ? 126 : 127;
  const key = masked ? randomBytes(4) : Buffer.alloc(0);
  if (masked) for (let at = 0; at < body.length; at++) body[at] = (body[at] ?? 0) ^ (key[at % 4] ?? 0);
  return Buffer.concat([Buffer.from([first, maskBit | short]), length, key, body]);
}

/** The payload of a close frame. */
export function closePayload(code: number, reason: string | Uint8Array = ''): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(code);
  return Buffer.concat([bytes, Buffer.from(reason)]);
}

export const textFrame = (message: unknown): Buffer => frameBytes(Opcode.text, JSON.stringify(message));

export function handshake(path: string, replaced: Readonly<Record<string, string | undefined>> = {}): string {
  const headers: Record<string, string | undefined> = {
    Host: 'relay.test',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    ...replaced,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  return `GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
}

/** A TCP connection that says exactly what it is told, and takes apart what comes back. */
export class RawWebSocket implements AsyncDisposable {
  readonly frames: Frame[] = [];
  /** The answer to the handshake with its body, once its head is complete. */
  head = '';
  /** The other side has ended the TCP connection, or reset it. */
  ended = false;
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#received(chunk));
    this.#socket.on('end', () => (this.ended = true));
    this.#socket.on('close', () => (this.ended = true));
    this.#socket.on('error', () => undefined);
  }

  /** Connected to the app's WebSocket endpoint, `pusher:connection_established` received. */
  static async established(port: number, key = 'appkey'): Promise<RawWebSocket> {
    const raw = new RawWebSocket(port);
    raw.send(handshake(`/app/${key}?protocol=7&client=raw&version=1`));
    await raw.text('pusher:connection_established');
    return raw;
  }

  send(...bytes: readonly (string | Buffer)[]): void {
    this.#socket.write(Buffer.concat(bytes.map((part) => Buffer.from(part))));
  }

  /** One write per byte, so that the receiver sees a frame in as many pieces as TCP allows. */
  async sendSlowly(bytes: Buffer): Promise<void> {
    for (const byte of bytes) {
      await new Promise<void>((resolve) => this.#socket.write(Buffer.from([byte]), () => resolve()));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  /** The first text frame that contains this, now or later. */
  async text(containing: string): Promise<string> {
    return eventually(() => this.texts().find((text) => text.includes(containing)), {
      interval: 2,
      describe: `a text with ${containing} among ${JSON.stringify(this.texts())}, ${this.head}`,
    });
  }

  get socketId(): string {
    const established = this.texts().find((text) => text.includes('pusher:connection_established'));
    return /\d+\.\d+/.exec(established ?? '')?.[0] ?? '';
  }

  texts(): string[] {
    return this.frames.filter(({ opcode }) => opcode === Opcode.text).map(({ payload }) => payload.toString());
  }

  frame(opcode: number): Promise<Frame> {
    return eventually(() => this.frames.find((frame) => frame.opcode === opcode), {
      describe: `a frame of opcode ${opcode} among ${JSON.stringify(this.frames)}`,
    });
  }

  /** The code of the other side's close frame; 1005 if the frame says none, as RFC 6455 names it. 1006: ended without one. */
  async closeCode(): Promise<number> {
    await eventually(() => this.ended || this.frames.some(({ opcode }) => opcode === Opcode.close));
    const close = this.frames.find(({ opcode }) => opcode === Opcode.close);
    if (close === undefined) return 1006;
    return close.payload.length < 2 ? 1005 : close.payload.readUInt16BE(0);
  }

  /** Ends our direction of the TCP connection; what the other side still sends is read. */
  end(): void {
    this.#socket.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    return Promise.resolve();
  }

  #received(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    if (!this.head.startsWith('HTTP/1.1 101')) {
      const end = this.#rest.indexOf('\r\n\r\n');
      if (end < 0) return;
      this.head = this.#rest.toString('latin1', 0, end + 4);
      // A refused handshake has a body and no frames.
      if (!this.head.startsWith('HTTP/1.1 101')) return;
      this.#rest = this.#rest.subarray(end + 4);
    }
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) this.frames.push(frame);
  }

  #next(): Frame | undefined {
    const [first, second] = this.#rest;
    if (first === undefined || second === undefined) return undefined;
    const short = second & 0x7f;
    const start = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (this.#rest.length < start) return undefined;
    const length =
      short < 126 ? short : short === 126 ? this.#rest.readUInt16BE(2) : Number(this.#rest.readBigUInt64BE(2));
    if (this.#rest.length < start + length) return undefined;
    const payload = this.#rest.subarray(start, start + length);
    this.#rest = this.#rest.subarray(start + length);
    return { fin: first >= 0x80, rsv: (first >> 4) & 7, opcode: first & 0x0f, masked: second >= 0x80, payload };
  }
}
