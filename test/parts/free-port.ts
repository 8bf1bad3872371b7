import { FIRST_PORT, freeLoopbackPort, LAST_PORT } from '#standalone/postgres/loopback-port.ts';
import { currentLane, LANES } from './lanes.ts';

/** Each lane has ports of its own: those of a server that is stopped for a moment are not taken by another lane either. */
const SHARE = Math.floor((LAST_PORT - FIRST_PORT) / (LANES + 1));

/** Those that this process has handed out: what was started at the same time may not listen yet. */
const handedOut = new Set<number>();

/**
 * A TCP port on 127.0.0.1 that nobody listens on at this moment. A server that derives a second port from its first (redis-server: the
 * cluster bus is 10,000 above, among the ports of outgoing connections) must be told that one too.
 */
export async function freePort(): Promise<number> {
  const first = FIRST_PORT + (currentLane() % (LANES + 1)) * SHARE;
  return freeLoopbackPort(first, first + SHARE, (port) => {
    if (handedOut.has(port)) return false;
    handedOut.add(port);
    return true;
  });
}

/** `count` different free ports. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}
