import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { currentLane, LANES } from './lanes.ts';

// Below the ranges that kernels give to outgoing connections (Linux from 32768, macOS from 49152), so that no client
// takes the port of a server that a fault test has stopped and wants to start again on the same port.
const FIRST = 10_240;
const LAST = 32_000;
/** Each lane has ports of its own: those of a server that is stopped for a moment are not taken by another lane either. */
const SHARE = Math.floor((LAST - FIRST) / (LANES + 1));

/** A TCP port on 127.0.0.1 that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const first = FIRST + (currentLane() % (LANES + 1)) * SHARE;
  for (;;) {
    const port = randomInt(first, first + SHARE);
    if (await isFree(port)) return port;
  }
}

/** `count` different free ports. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', () => resolve(false));
  server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  return promise;
}
