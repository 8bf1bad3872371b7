const FINAL_TEXT = 0x81;

/**
 * One unmasked, unfragmented WebSocket text frame (RFC 6455, 5.2), ready for the wire: an event is framed once and the same bytes go
 * to every subscriber. Only for connections without extensions (no deflate).
 */
export function textFrame(...parts: readonly (string | Buffer)[]): Buffer {
  let length = 0;
  for (const part of parts) length += typeof part === 'string' ? Buffer.byteLength(part) : part.length;
  const headerLength = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(headerLength + length);
  frame[0] = FINAL_TEXT;
  if (headerLength === 2) {
    frame[1] = length;
  } else if (headerLength === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  let offset = headerLength;
  for (const part of parts) offset += typeof part === 'string' ? frame.write(part, offset) : part.copy(frame, offset);
  return frame;
}
