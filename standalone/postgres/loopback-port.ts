import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below the ranges from which kernels take the ports of outgoing connections (Linux from 32768, macOS from 49152): a server that is stopped
 * for a moment finds its port free when it comes back. A port that the kernel chose could be any client's by then, for as long as that
 * client stays connected.
 */
export const FIRST_PORT = 10_240;
export const LAST_PORT = 32_000;

/**
 * A TCP port of 127.0.0.1 from `first` up to, but without, `end` that nobody listens on at this moment and that `acceptable` allows. Rejects
 * when one cannot be listened on for another reason.
 */
export async function freeLoopbackPort(
  first = FIRST_PORT,
  end = LAST_PORT,
  acceptable: (port: number) => boolean = () => true,
): Promise<number> {
  for (;;) {
    const port = randomInt(first, end);
    if (acceptable(port) && (await isFree(port))) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', (error: NodeJS.ErrnoException) =>
    error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
  );
  server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  return promise;
}
