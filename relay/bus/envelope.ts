import { SOCKET_ID_PATTERN } from '../protocol/socket-id.ts';
import type { BusMessage } from './bus.ts';

/**
 * What travels: `1\n{origin}\n{excluded socket or nothing}\n{tail}` for an event, `s\n{origin}\n\n{JSON}` for a signal. Made once by the
 * publisher; a receiver cuts it at three line feeds and frames the tail as it is (the tail is JSON text and has no raw line feed before
 * its own end).
 */
const EVENT = '1';
const SIGNAL = 's';
const LINE_FEED = 0x0a;
const ORIGIN_PATTERN = /^[A-Za-z0-9._:-]{1,300}$/;
/** The longest head that can be valid: kind, origin, two numbers of 20 digits, line feeds. */
const MAX_HEAD_BYTES = 400;
const MAX_TAIL_BYTES = 8 * 1024 * 1024;

export type Envelope = BusMessage & { readonly origin: string };

export function encodeEnvelope(origin: string, message: BusMessage): Buffer {
  if (message.kind === 'signal') return Buffer.from(`${SIGNAL}\n${origin}\n\n${message.text}`);
  // Origins and socket ids are ASCII.
  const head = `${EVENT}\n${origin}\n${message.exceptSocketId ?? ''}\n`;
  const bytes = Buffer.allocUnsafe(head.length + message.tail.length);
  bytes.write(head, 'latin1');
  message.tail.copy(bytes, head.length);
  return bytes;
}

/** undefined for anything that `encodeEnvelope` would not have made. */
export function decodeEnvelope(bytes: Buffer): Envelope | undefined {
  const first = bytes.indexOf(LINE_FEED);
  const second = bytes.indexOf(LINE_FEED, first + 1);
  const third = bytes.indexOf(LINE_FEED, second + 1);
  if (first < 0 || second < 0 || third < 0 || third > MAX_HEAD_BYTES) return undefined;
  const kind = bytes.toString('latin1', 0, first);
  const origin = bytes.toString('latin1', first + 1, second);
  const excluded = bytes.toString('latin1', second + 1, third);
  const tail = bytes.subarray(third + 1);
  if (!ORIGIN_PATTERN.test(origin) || tail.length > MAX_TAIL_BYTES) return undefined;
  if (kind === SIGNAL) return excluded === '' ? { kind: 'signal', origin, text: tail.toString() } : undefined;
  if (kind !== EVENT || !looksLikeTail(tail)) return undefined;
  if (excluded !== '' && !SOCKET_ID_PATTERN.test(excluded)) return undefined;
  return { kind: 'event', origin, exceptSocketId: excluded === '' ? undefined : excluded, tail };
}

/** Cheap, and enough to keep another protocol's bytes from being framed: the fixed beginning and end of `eventTail`. */
function looksLikeTail(tail: Buffer): boolean {
  return tail.toString('latin1', 0, 9) === '"event":"' && tail[tail.length - 1] === 0x7d;
}
