import { startRelay } from './installation.ts';

// A relay as a process of its own. argv: Redis URL, id.
const [, , redisUrl = '', id = ''] = process.argv;
const relay = await startRelay(redisUrl, id);
relay.follower.onStateChange(() => {
  process.stdout.write(relay.follower.ready() ? 'ready\n' : 'not ready\n');
});
process.once('SIGTERM', () => {
  void relay[Symbol.asyncDispose]().then(() => process.exit(0));
});
