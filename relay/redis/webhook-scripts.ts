/**
 * Lua for redis/webhook-queue.ts. Every event goes from the raw stream into one stream per webhook that wants it, and leaves that when the
 * endpoint took it or was given up. All keys are in the slot of the app, and every stream expires by itself: whatever is in one that nobody
 * wrote to for so long is past its time.
 */

/** Events that the raw stream holds; it is only that full when no relay is sending. */
const RAW_LIMIT = 10_000;
/** Twice the time in which an event is told, in milliseconds. */
const KEEP_MS = 600_000;

/**
 * For every script that has news for webhooks: `enqueue_webhook(stream, event, time_ms)`. `event` is the JSON of a WebhookEvent. Answers how
 * many older entries had to go for it (about).
 */
export const ENQUEUE_WEBHOOK = `
local function enqueue_webhook(stream, event, time_ms)
  local before = redis.call('XLEN', stream)
  redis.call('XADD', stream, 'MAXLEN', '~', ${RAW_LIMIT}, '*', 'event', event, 'time_ms', time_ms)
  redis.call('PEXPIRE', stream, ${KEEP_MS})
  return before + 1 - redis.call('XLEN', stream)
end
`;
