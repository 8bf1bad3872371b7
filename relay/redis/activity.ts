import type { Activity, ActivityLog } from '../activity/activity.ts';
import { PATIENCE_MS } from '../bus/bus.ts';
import type { Monotonic } from '../limits/monotonic.ts';
import type { AppKeys } from './app-keys.ts';
import { Patience, type RedisClient } from './patience.ts';
import { webhookKeys } from './webhook-keys.ts';
import { ACTIVITY_ENTRIES, ACTIVITY_KEEP_MS } from './webhook-scripts.ts';

export type RedisActivityLogOptions = {
  readonly client: RedisClient;
  readonly keys: AppKeys;
  readonly now: Monotonic;
  readonly wallClock: () => number;
};

/** KEYS[1] activity · ARGV[1] type, ARGV[2] epoch ms, ARGV[3] detail (JSON). */
const TELL = `
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ${ACTIVITY_ENTRIES}, '*', 'type', ARGV[1], 'time_ms', ARGV[2], 'detail', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ${ACTIVITY_KEEP_MS})
`;

/** The stream in which webhooks' failures stand too. */
export class RedisActivityLog implements ActivityLog {
  readonly #options: RedisActivityLogOptions;
  readonly #patience: Patience;

  constructor(options: RedisActivityLogOptions) {
    this.#options = options;
    this.#patience = new Patience(options.client, PATIENCE_MS, options.now);
  }

  tell(appId: string, { type, detail }: Activity): void {
    const { keys, wallClock } = this.#options;
    const { activity } = webhookKeys(keys, appId);
    const args = [type, wallClock(), JSON.stringify(detail)];
    void this.#patience.ask((client) => client.call('EVAL', TELL, 1, activity, ...args));
  }
}
