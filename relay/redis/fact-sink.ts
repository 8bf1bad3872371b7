import { PATIENCE_MS } from '../bus/bus.ts';
import type { FactKeys } from '#crds/facts/redis-keys.ts';
import { MOST_LAST, MOST_WAITING, type FactSink } from '../facts/fact-sink.ts';
import type { Monotonic } from '../limits/monotonic.ts';
import { Patience, type RedisClient } from './patience.ts';
import { runScript, script } from './script.ts';

export type RedisFactSinkOptions = {
  readonly client: RedisClient;
  readonly keys: FactKeys;
  readonly now: Monotonic;
};

/** KEYS[1] reports · ARGV[1] the report, ARGV[2] how many may wait. Not MAXLEN: that would drop what nobody has read. */
const APPEND = script(`
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('XADD', KEYS[1], '*', 'report', ARGV[1])
return 1`);

export class RedisFactSink implements FactSink {
  readonly #keys: FactKeys;
  readonly #patience: Patience;

  constructor({ client, keys, now }: RedisFactSinkOptions) {
    this.#keys = keys;
    this.#patience = new Patience(client, PATIENCE_MS, now);
  }

  async append(report: string, last: boolean): Promise<boolean> {
    const most = last ? MOST_LAST : MOST_WAITING;
    return (
      (await this.#patience.ask((client) => runScript(client, APPEND, [this.#keys.reports], [report, most]))) === 1
    );
  }
}
