import { createRequire } from 'node:module';

/** pusher-js for Node. It is CommonJS whose types say `export default`: an import would get the right value with the wrong type. */
export const PusherClient = createRequire(import.meta.url)('pusher-js') as typeof import('pusher-js').default;
