export const SOCKET_ID_PATTERN = /^\d{1,20}\.\d{1,20}$/;

/**
 * `^\d+\.\d+$`, unguessable and unique over all replicas: two 63-bit numbers. A private channel's signature is bound to it, so a
 * guessable id would let one client replay another's.
 * @param random 16 fresh bytes of a cryptographic source
 */
export function socketId(random: Buffer): string {
  const half = (offset: number): bigint => random.readBigUInt64BE(offset) >> 1n;
  return `${half(0)}.${half(8)}`;
}
