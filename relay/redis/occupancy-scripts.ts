/**
 * Lua for redis/occupancy.ts. All keys of an app share a slot; the per-replica hashes are named inside the scripts, which a Cluster
 * allows within one slot. Time is Redis' own: replicas' clocks may differ.
 *
 * KEYS[1] replicas of the app (sorted set, score = last sign of life in ms) · ARGV[1] key prefix of the hashes · ARGV[2] this replica ·
 * ARGV[3] lease in ms. A hash has a field per channel, and `#` (which no channel name can be) for connections.
 */
const CLOCK = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local lease = tonumber(ARGV[3])
local mine = ARGV[1] .. ARGV[2]
`;

const SIGN_OF_LIFE = `
redis.call('ZADD', KEYS[1], now, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - lease)
redis.call('PEXPIRE', KEYS[1], lease)
redis.call('PEXPIRE', mine, lease)
`;

const OTHERS = `
local others = {}
for _, replica in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. (now - lease), '+inf')) do
  if replica ~= ARGV[2] then others[#others + 1] = ARGV[1] .. replica end
end
`;

/**
 * ARGV[4]: 'anew' to forget first what is there, except for connections that are not told again, else 'more'. ARGV[5…]: field, count, field, count …; 0 removes.
 * Answers 1 when the hash was there before, 0 when all counts must be written anew.
 */
export const WRITE = `${CLOCK}
local existed = redis.call('EXISTS', mine)
local held = redis.call('HGET', mine, '#')
if ARGV[4] == 'anew' then redis.call('DEL', mine) end
for i = 5, #ARGV, 2 do
  if ARGV[i + 1] == '0' then redis.call('HDEL', mine, ARGV[i]) else redis.call('HSET', mine, ARGV[i], ARGV[i + 1]) end
end
if ARGV[4] == 'anew' and held and not redis.call('HGET', mine, '#') then redis.call('HSET', mine, '#', held) end
${SIGN_OF_LIFE}
return existed`;

/** Forgets this replica for the app. */
export const LEAVE = `${CLOCK}
redis.call('DEL', mine)
return redis.call('ZREM', KEYS[1], ARGV[2])`;

/** Answers a flat list of field, count, … of all other living replicas; a field stands once per replica. */
export const ALL_ELSEWHERE = `${CLOCK}${OTHERS}
local all = {}
for _, key in ipairs(others) do
  for _, item in ipairs(redis.call('HGETALL', key)) do all[#all + 1] = item end
end
return all`;

/** ARGV[4]: field. Answers the sum over all other living replicas. */
export const ONE_ELSEWHERE = `${CLOCK}${OTHERS}
local sum = 0
for _, key in ipairs(others) do sum = sum + tonumber(redis.call('HGET', key, ARGV[4]) or '0') end
return sum`;

/**
 * ARGV[4]: limit, ARGV[5]: connections here, the new one included. Counts and claims in one step, so that two replicas cannot both take
 * the last place. Answers {admitted 0|1, connections elsewhere}.
 */
export const ADMIT = `${CLOCK}${OTHERS}
local sum = 0
for _, key in ipairs(others) do sum = sum + tonumber(redis.call('HGET', key, '#') or '0') end
if sum + tonumber(ARGV[5]) > tonumber(ARGV[4]) then return {0, sum} end
-- The higher one: a Cluster client may send several claims out of order.
redis.call('HSET', mine, '#', math.max(tonumber(ARGV[5]), tonumber(redis.call('HGET', mine, '#') or '0')))
${SIGN_OF_LIFE}
return {1, sum}`;
