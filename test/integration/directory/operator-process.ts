import { setTimeout as delay } from 'node:timers/promises';
import { startOperator, tokenChange } from './installation.ts';

// An operator as a process of its own that publishes without a pause, so that it can be killed and frozen at any point.
// argv: PostgreSQL URL, Redis URL, name.
const [, , postgresUrl = '', redisUrl = '', name = ''] = process.argv;
const operator = await startOperator({ postgresUrl, redisUrl }, { reportWaitMs: 300 });
operator.stopped.then(
  () => process.exit(0),
  (error: unknown) => {
    process.stdout.write(`stopped: ${String(error)}\n`);
    process.exit(3);
  },
);
for (let count = 0; ; count += 1) {
  try {
    const revision = await operator.publish(tokenChange(`t${count % 10}`, `${name}-${count}`));
    process.stdout.write(`committed ${revision}\n`);
  } catch (error) {
    process.stdout.write(`not committed: ${String(error)}\n`);
    await delay(50);
  }
}
