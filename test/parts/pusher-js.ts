import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { runInNewContext } from 'node:vm';
import type { Options } from 'pusher-js';

const require = createRequire(import.meta.url);

/** pusher-js for Node. It is CommonJS whose types say `export default`: an import would get the right value with the wrong type. */
export const PusherClient = require('pusher-js') as typeof import('pusher-js').default;

/** What a page says to reach a relay on this machine, in plaintext, over WebSocket alone. */
export const relayAt = (port: number) =>
  ({
    wsHost: '127.0.0.1',
    wsPort: port,
    forceTLS: false,
    enabledTransports: ['ws'],
    disableStats: true,
    cluster: 'relay',
  }) satisfies Options;

/**
 * What `import Pusher from 'pusher-js/with-encryption'` gives a web page: the browser build, which asks for a window, run with as much
 * of a page as it needs for a WebSocket, and the WebSocket and randomness of Node.
 */
export function pusherWithEncryption(): typeof import('pusher-js').default {
  const entry = require.resolve('pusher-js/with-encryption');
  const build = createRequire(entry).resolve('../dist/web/pusher-with-encryption');
  const module: { exports: unknown } = { exports: undefined };
  const page = {
    navigator: { onLine: true },
    document: { location: { protocol: 'http:' }, body: {} },
    WebSocket,
    crypto,
    setTimeout,
    setInterval,
    clearTimeout,
    clearInterval,
    console,
    module,
    exports: {},
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
    JSON,
    Uint8Array,
    Uint32Array,
  };
  runInNewContext(readFileSync(build, 'utf8'), { ...page, window: page, self: page }, { filename: build });
  return module.exports as typeof import('pusher-js').default;
}
