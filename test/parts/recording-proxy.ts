import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';

/** A proxy on 127.0.0.1 that keeps every byte that passes, either way. */
export type RecordingProxy = AsyncDisposable & { readonly port: number; recorded(): Buffer };

/** @param target port on 127.0.0.1 */
export async function startRecordingProxy(target: number): Promise<RecordingProxy> {
  const chunks: Buffer[] = [];
  const stack = new AsyncDisposableStack();
  const listener = createServer((client) => {
    const server = createConnection({ host: '127.0.0.1', port: target });
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('data', (chunk: Buffer) => chunks.push(chunk));
      from.pipe(to);
      from.on('error', () => to.destroy());
    }
    stack.defer(() => {
      client.destroy();
      server.destroy();
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    port: address.port,
    recorded: () => Buffer.concat(chunks),
    [Symbol.asyncDispose]: async () => {
      await stack.disposeAsync();
      listener.close();
      await once(listener, 'close');
    },
  };
}
