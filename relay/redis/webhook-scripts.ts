import { LANE_BYTES, LANE_EVENTS } from '../webhooks/webhook-queue.ts';

/**
 * Lua for redis/webhook-queue.ts. Every event goes from the raw stream into one stream per webhook that wants it (its lane), and leaves that
 * when the endpoint took it or was given up. All keys are in the slot of the app. Every stream expires by itself: whatever is in one that
 * nobody wrote to for so long is past its time.
 */

/** Events that the raw stream holds; it is only that full when no relay is sending. */
const RAW_EVENTS = 10_000;
/** Twice the time in which an event is told, in milliseconds. */
const KEEP_MS = 600_000;
/** Entries of the app's activity stream, and how long they stay after the last one, in milliseconds. */
export const ACTIVITY_ENTRIES = 1_000;
export const ACTIVITY_KEEP_MS = 604_800_000;

/**
 * For every script that has news for webhooks: `enqueue_webhook(stream, event, time_ms)`. `event` is the JSON of a WebhookEvent. Answers how
 * many older entries had to go for it (about).
 */
export const ENQUEUE_WEBHOOK = `
local function enqueue_webhook(stream, event, time_ms)
  local before = redis.call('XLEN', stream)
  redis.call('XADD', stream, 'MAXLEN', '~', ${RAW_EVENTS}, '*', 'event', event, 'time_ms', time_ms)
  redis.call('PEXPIRE', stream, ${KEEP_MS})
  return before + 1 - redis.call('XLEN', stream)
end
`;

/** KEYS[1] raw · ARGV[1] epoch ms, ARGV[2…] events. Answers how many older ones had to go. */
export const ADD = `${ENQUEUE_WEBHOOK}
local dropped = 0
for i = 2, #ARGV do dropped = dropped + enqueue_webhook(KEYS[1], ARGV[i], ARGV[1]) end
return dropped`;

/** KEYS[1] raw, KEYS[2] lease, KEYS[3…] lanes. */
const WAITS = `
local function waits()
  for i = 1, #KEYS do
    if i ~= 2 and redis.call('XLEN', KEYS[i]) > 0 then return true end
  end
  return false
end
`;

/** ARGV[1] this replica, ARGV[2] lease in ms. Answers 'held', 'empty', or how many ms the other one's lease lasts. */
export const CLAIM = `${WAITS}
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return redis.call('PTTL', KEYS[2]) end
if not waits() then return 'empty' end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 'held'`;

/** ARGV[1] this replica. Answers 1 when the lease is gone, 0 when there is more to do. */
export const RELEASE = `${WAITS}
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 1 end
if waits() then return 0 end
-- Streams that are empty are keys all the same.
redis.call('DEL', unpack(KEYS))
return 1`;

/** KEYS[1] lease · ARGV[1] this replica. */
export const ABANDON = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1`;

/** KEYS[1] raw, KEYS[2] lease · ARGV[1] this replica, ARGV[2] lease in ms, ARGV[3] how many. Answers nil when another one has the lease. */
export const RENEW = `
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then return false end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[3])`;

/**
 * KEYS[1] raw, KEYS[2] bytes, KEYS[3…] lanes · ARGV[1], ARGV[2]: id in raw, numbers of lanes (from 1, with commas), and so on.
 * Who deletes the raw entry routes it, so it is routed once. Answers how many had to go, by lane.
 */
export const MOVE = `
local dropped = {}
for i = 3, #KEYS do
  dropped[i - 2] = 0
  -- What the hash says of a lane that is gone or expired is old.
  if redis.call('EXISTS', KEYS[i]) == 0 then redis.call('HDEL', KEYS[2], KEYS[i]) end
end
local function push(lane, event, time_ms)
  local key = KEYS[lane + 2]
  redis.call('XADD', key, '*', 'event', event, 'time_ms', time_ms)
  local bytes = redis.call('HINCRBY', KEYS[2], key, #event)
  local length = redis.call('XLEN', key)
  while length > 1 and (length > ${LANE_EVENTS} or bytes > ${LANE_BYTES}) do
    local oldest = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
    redis.call('XDEL', key, oldest[1])
    bytes = redis.call('HINCRBY', KEYS[2], key, -#oldest[2][2])
    length = length - 1
    dropped[lane] = dropped[lane] + 1
  end
  redis.call('PEXPIRE', key, ${KEEP_MS})
  redis.call('PEXPIRE', KEYS[2], ${KEEP_MS})
end
for i = 1, #ARGV, 2 do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  if entry then
    redis.call('XDEL', KEYS[1], ARGV[i])
    for lane in string.gmatch(ARGV[i + 1], '%d+') do push(tonumber(lane), entry[2][2], entry[2][4]) end
  end
end
return dropped`;

/**
 * KEYS[1] lane, KEYS[2] bytes, KEYS[3] activity · ARGV[1] epoch ms, ARGV[2] what to tell of it (JSON; '': nothing), ARGV[3…] ids.
 */
export const REMOVE = `
for i = 3, #ARGV do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  if entry then
    redis.call('XDEL', KEYS[1], ARGV[i])
    redis.call('HINCRBY', KEYS[2], KEYS[1], -#entry[2][2])
  end
end
if redis.call('XLEN', KEYS[1]) == 0 then redis.call('HDEL', KEYS[2], KEYS[1]) end
if ARGV[2] ~= '' then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ${ACTIVITY_ENTRIES}, '*', 'type', 'webhook_failed', 'time_ms', ARGV[1], 'detail', ARGV[2])
  redis.call('PEXPIRE', KEYS[3], ${ACTIVITY_KEEP_MS})
end
return 1`;
