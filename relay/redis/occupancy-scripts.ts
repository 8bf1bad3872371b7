import { ENQUEUE_WEBHOOK } from './webhook-scripts.ts';

/**
 * Lua for redis/occupancy-store.ts; long, because it is one program: occupancy/memory-store.ts says the same in TypeScript, and one contract suite
 * holds both. All keys of an app share a slot and are named inside the scripts, which a Cluster allows. Time is Redis' own: replicas' clocks
 * may differ.
 *
 * KEYS[1] the app's tag, which begins every key:
 * - `:totals` hash, field → sum over all replicas; `:own:{replica}` hash, field → what it told, `!mark` → its last write;
 * - `:roster:{channel}` hash, `u{user}` → `{connections}\n{info}`, `v` → version;
 * - `:due` sorted set, `{kind}\n{name}` → ms at which it is announced; `:young` set for a lease after a loss; `:counted:{channel}` the pace of counts;
 * - `:holders` set of replicas that have anything; `:webhooks` stream.
 *
 * ARGV[1] webhook events that the app wants, as `,name,name,` · ARGV[2] 1 to tell subscribers their number · ARGV[3] hold in ms ·
 * ARGV[4] lease in ms · ARGV[5] replica.
 */
export const MARK = '!mark';

const PRELUDE = `${ENQUEUE_WEBHOOK}
local tag, wanted, tell_counts = KEYS[1], ARGV[1], ARGV[2] == '1'
local hold, lease, replica = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local own, totals, due = tag .. ':own:' .. replica, tag .. ':totals', tag .. ':due'
local restoring, enqueued = false, 0
local young = math.max(redis.call('PTTL', tag .. ':young'), 0)

local function wants(kind) return string.find(wanted, ',' .. kind .. ',', 1, true) ~= nil end
local function whole(number) return string.format('%.0f', number) end
local function text(value) return cjson.encode(value) end
local function signal(channel, json) redis.call('SPUBLISH', tag .. ':bus:' .. channel, 's\\n-\\n\\n' .. json) end

local function webhook(json)
  enqueue_webhook(tag .. ':webhooks', json, whole(now))
  enqueued = enqueued + 1
end

local function announce(kind, name)
  if kind == 'user-online' or kind == 'user-offline' then
    signal('#user-' .. name, '{"type":"' .. kind .. '","user":' .. text(name) .. '}')
  elseif kind == 'subscription_count' then
    local count = redis.call('HGET', totals, name) or '0'
    if tell_counts then
      local data = text('{"subscription_count":' .. count .. '}')
      redis.call('SPUBLISH', tag .. ':bus:' .. name, '1\\n-\\n\\n"event":"pusher_internal:subscription_count","data":' .. data .. '}')
    end
    if wants(kind) then webhook('{"name":"' .. kind .. '","channel":' .. text(name) .. ',"subscription_count":' .. count .. '}') end
  else
    local cut = string.find(name, '\\n', 1, true)
    local channel = cut and string.sub(name, 1, cut - 1) or name
    local user = cut and ',"user_id":' .. text(string.sub(name, cut + 1)) or ''
    webhook('{"name":"' .. kind .. '","channel":' .. text(channel) .. user .. '}')
  end
end

local function came(kind, opposite, name)
  local cancelled = redis.call('ZREM', due, opposite .. '\\n' .. name)
  if restoring then
    redis.call('ZREM', due, kind .. '\\n' .. name)
  elseif cancelled == 0 and (kind == 'user-online' or wants(kind)) then
    if young > 0 then redis.call('ZADD', due, now + young, kind .. '\\n' .. name) else announce(kind, name) end
  end
end

local function went(kind, opposite, name, wait)
  if redis.call('ZREM', due, opposite .. '\\n' .. name) == 1 then return end
  if kind ~= 'user-offline' and not wants(kind) then return end
  wait = math.max(wait, young)
  if wait > 0 then redis.call('ZADD', due, now + wait, kind .. '\\n' .. name) else announce(kind, name) end
end

local function counted(channel, total)
  if not tell_counts and not wants('subscription_count') then return end
  local pace = tag .. ':counted:' .. channel
  if total <= 100 or redis.call('SET', pace, '', 'NX', 'PX', 5000) then return announce('subscription_count', channel) end
  redis.call('ZADD', due, 'NX', now + redis.call('PTTL', pace), 'subscription_count\\n' .. channel)
end

local function member_moved(channel, user, delta, info)
  local roster, field, name = tag .. ':roster:' .. channel, 'u' .. user, channel .. '\\n' .. user
  local known, before = redis.call('HGET', roster, field), 0
  if known then
    local cut = string.find(known, '\\n', 1, true)
    before, info = tonumber(string.sub(known, 1, cut - 1)), string.sub(known, cut + 1)
  end
  local after = before + delta
  if after > 0 then redis.call('HSET', roster, field, whole(after) .. '\\n' .. info) else redis.call('HDEL', roster, field) end
  if after > 0 and (before <= 0 or restoring) then came('member_added', 'member_removed', name) end
  if before > 0 and after <= 0 then went('member_removed', 'member_added', name, hold) end
  if (before > 0) == (after > 0) then return end
  -- By the clock, so that a Redis that lost its last writes does not use a version for something else.
  local previous = redis.call('HGET', roster, 'v') or '0'
  local version = clock[1] .. string.format('%06d', clock[2])
  if tonumber(version) <= tonumber(previous) then version = whole(tonumber(previous) + 1) end
  redis.call('HSET', roster, 'v', version)
  local change = after > 0 and '"added":{"user":' .. text(user) .. ',"info":' .. text(info) .. '}' or '"removed":' .. text(user)
  signal(channel, '{"type":"roster","previous":"' .. previous .. '","version":"' .. version .. '","young":' .. whole(young) .. ',' .. change .. '}')
end

local emptied = {}
local function moved(field, delta, info)
  local cut = string.sub(field, 1, 1) ~= '#' and string.find(field, '\\n', 1, true)
  if cut then
    local channel = string.sub(field, 1, cut - 1)
    member_moved(channel, string.sub(field, cut + 1), delta, info)
    if delta < 0 then emptied[channel] = true end
    return
  end
  local after = redis.call('HINCRBY', totals, field, whole(delta))
  local before = after - delta
  if after <= 0 then redis.call('HDEL', totals, field) end
  if field == '#' then return end
  local name, came_kind, went_kind, wait = field, 'channel_occupied', 'channel_vacated', hold
  if string.sub(field, 1, 1) == '#' then name, came_kind, went_kind, wait = string.sub(field, 7), 'user-online', 'user-offline', 0 end
  if after > 0 and (before <= 0 or restoring) then came(came_kind, went_kind, name) end
  if before > 0 and after <= 0 then went(went_kind, came_kind, name, wait) end
  if delta ~= 0 and not restoring and wait > 0 and string.sub(field, 1, 9) ~= 'presence-' then counted(field, after) end
end

-- Only at the end: within one script the clock stands still, and a roster that begins anew must begin above its last version.
local function forget_empty_rosters()
  for channel in pairs(emptied) do
    if redis.call('HLEN', tag .. ':roster:' .. channel) == 1 then redis.call('DEL', tag .. ':roster:' .. channel) end
  end
end

local function next_due()
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
  return first[2] and math.max(tonumber(first[2]) - now, 0) or -1
end

local function roster(channel)
  return {redis.call('HGETALL', tag .. ':roster:' .. channel), young}
end
`;

/**
 * ARGV[6] expected mark, ARGV[7] next mark, ARGV[8] 1: restoring, ARGV[9] how many items; then five for each item (field, count, info,
 * limit or '', claim); then channels whose rosters are wanted. Answers nothing when the mark is another, else {granted, connections,
 * webhook events, ms to the next that is due, indices of refused items, rosters}.
 */
export const APPLY = `${PRELUDE}
if (redis.call('HGET', own, '${MARK}') or '') ~= ARGV[6] then return {} end
restoring = ARGV[8] == '1'
if restoring then
  redis.call('SET', tag .. ':young', '', 'PX', lease)
  young = lease
end
local granted, refused = 0, {}
local rosters_from = 10 + 5 * tonumber(ARGV[9])
for i = 10, rosters_from - 1, 5 do
  local field, count, info, limit, claim = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
  local had = tonumber(redis.call('HGET', own, field) or '0')
  local admitted = true
  if claim > 0 then
    local others = tonumber(redis.call('HGET', totals, field) or '0') - had
    granted = math.max(math.min(claim, limit - others - count), 0)
    count = count + granted
  elseif limit and had == 0 then
    local cut = string.find(field, '\\n', 1, true)
    local key, user = tag .. ':roster:' .. string.sub(field, 1, cut - 1), 'u' .. string.sub(field, cut + 1)
    admitted = redis.call('HEXISTS', key, user) == 1 or redis.call('HLEN', key) - 1 < limit
  end
  if not admitted then
    refused[#refused + 1] = (i - 10) / 5
  else
    if count > 0 then redis.call('HSET', own, field, whole(count)) else redis.call('HDEL', own, field) end
    if count ~= had or restoring then moved(field, count - had, info) end
  end
end
redis.call('HSET', own, '${MARK}', ARGV[7])
if redis.call('HLEN', own) == 1 then
  -- Kept for a while, so that a write that was under way for long is known to be late.
  redis.call('PEXPIRE', own, 60000)
  redis.call('SREM', tag .. ':holders', replica)
else
  redis.call('PERSIST', own)
  redis.call('SADD', tag .. ':holders', replica)
end
forget_empty_rosters()
local rosters = {}
for i = rosters_from, #ARGV do rosters[#rosters + 1] = roster(ARGV[i]) end
return {granted, tonumber(redis.call('HGET', totals, '#') or '0'), enqueued, next_due(), refused, rosters}`;

/** Answers {webhook events, ms to the next that is due}. */
export const SETTLE = `${PRELUDE}
for _, entry in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 500)) do
  redis.call('ZREM', due, entry)
  local cut = string.find(entry, '\\n', 1, true)
  announce(string.sub(entry, 1, cut - 1), string.sub(entry, cut + 1))
end
return {enqueued, next_due()}`;

/** ARGV[5] the dead replica, ARGV[6] its fence. Takes back a part of its numbers. Answers {webhook events, ms to the next that is due, 1 when nothing is left}. */
export const REAP = `${PRELUDE}
if redis.call('EXISTS', own) == 0 then return {0, next_due(), 1} end
redis.call('HSET', own, '${MARK}', ARGV[6])
local some = redis.call('HSCAN', own, '0', 'COUNT', 500)[2]
for i = 1, #some, 2 do
  if some[i] ~= '${MARK}' then
    redis.call('HDEL', own, some[i])
    moved(some[i], -tonumber(some[i + 1]), 'null')
  end
end
forget_empty_rosters()
local left = redis.call('HLEN', own) > 1
if not left then
  redis.call('PEXPIRE', own, 3600000)
  redis.call('SREM', tag .. ':holders', replica)
end
return {enqueued, next_due(), left and 0 or 1}`;

/** KEYS[1] tag · ARGV[1] channel. Answers {fields and values, ms that the store is young}. */
export const ROSTER = `
return {redis.call('HGETALL', KEYS[1] .. ':roster:' .. ARGV[1]), math.max(redis.call('PTTL', KEYS[1] .. ':young'), 0)}`;

/** KEYS[1] tag · ARGV channels. Answers version and size of each. */
export const ROSTER_HEADS = `
local heads = {}
for _, channel in ipairs(ARGV) do
  local key = KEYS[1] .. ':roster:' .. channel
  heads[#heads + 1] = redis.call('HGET', key, 'v') or '0'
  heads[#heads + 1] = math.max(redis.call('HLEN', key) - 1, 0)
end
return heads`;

/** KEYS[1] sorted set of signs of life, KEYS[2] set of the replica's apps · ARGV[1] replica, ARGV[2…] apps. */
export const TOUCH = `
local t = redis.call('TIME')
redis.call('ZADD', KEYS[1], 'NX', t[1] * 1000 + math.floor(t[2] / 1000), ARGV[1])
for i = 2, #ARGV do redis.call('SADD', KEYS[2], ARGV[i]) end
return 1`;

/**
 * KEYS[1] sorted set of signs of life, KEYS[2] set of the replica's apps · ARGV[1] replica, ARGV[2] lease in ms.
 * Answers {apps, all names, names that have not spoken for half the lease, names that are dead}.
 */
export const BEAT = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
local silent = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now - ARGV[2] / 2))
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now - ARGV[2]))
return {redis.call('SCARD', KEYS[2]), redis.call('ZRANGE', KEYS[1], 0, -1), silent, dead}`;

/** KEYS[1] signs of life, KEYS[2] the dead one's apps, KEYS[3] lock · ARGV[1] dead replica, ARGV[2] this one, ARGV[3] lock in ms. Answers its apps, or nil. */
export const APPS_OF_DEAD = `
local holder = redis.call('GET', KEYS[3])
if holder and holder ~= ARGV[2] then return false end
redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
return redis.call('SMEMBERS', KEYS[2])`;

/** KEYS as APPS_OF_DEAD · ARGV[1] dead replica, ARGV[2] lease in ms. Forgets it, unless it has spoken. */
export const BURY = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local spoke = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[3])
if spoke and tonumber(spoke) >= now - ARGV[2] then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
return 1`;
