/**
 * The steps that must be one in Redis. All keys are in one slot. Each script first looks at what it builds on and changes nothing when
 * that is not so: this is what makes a second publisher, a repeated call and a late call harmless.
 */

/**
 * KEYS head, snapshot, log. ARGV epoch, previous, revision, count, digest, keyId, mac, log entry, kept log entries, then key and text of
 * each change; an empty text removes. Returns 1, or 0 when head is elsewhere.
 */
export const PUBLISH = `
local head = redis.call('HMGET', KEYS[1], 'epoch', 'revision')
if head[1] ~= ARGV[1] or head[2] ~= ARGV[2] then return 0 end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[9], ARGV[3] .. '-0', 'entry', ARGV[8])
for index = 10, #ARGV, 2 do
  if ARGV[index + 1] == '' then redis.call('HDEL', KEYS[2], ARGV[index])
  else redis.call('HSET', KEYS[2], ARGV[index], ARGV[index + 1]) end
end
redis.call('HSET', KEYS[1], 'revision', ARGV[3], 'count', ARGV[4], 'digest', ARGV[5], 'keyId', ARGV[6], 'mac', ARGV[7])
return 1
`;

/** KEYS head, snapshot. ARGV epoch, revision, digest, count. Returns 1, or 0 when head or snapshot are not that. */
export const BEAT = `
local head = redis.call('HMGET', KEYS[1], 'epoch', 'revision', 'digest', 'count')
for index = 1, 4 do if head[index] ~= ARGV[index] then return 0 end end
if redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[4]) then return 0 end
redis.call('HINCRBY', KEYS[1], 'beat', 1)
return 1
`;

/**
 * KEYS head, snapshot, log. ARGV epoch, revision, count, digest, keyId, mac. Returns 1, or 0 when head is of this epoch or a higher one,
 * or the snapshot is not whole.
 */
export const FLIP = `
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch and tonumber(epoch) and tonumber(epoch) >= tonumber(ARGV[1]) then return 0 end
if redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[3]) then return 0 end
redis.call('DEL', KEYS[1], KEYS[3])
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'revision', ARGV[2], 'count', ARGV[3], 'digest', ARGV[4], 'keyId', ARGV[5],
  'mac', ARGV[6], 'beat', '0')
return 1
`;

/** KEYS head, snapshot, log. ARGV epoch. */
export const DISCARD = `
if redis.call('HGET', KEYS[1], 'epoch') == ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[2], KEYS[3])
`;

/** KEYS replicas, admit. ARGV id, nonce. Deletes the report of this run, or one that nobody can read. */
export const FORGET = `
local report = redis.call('HGET', KEYS[1], ARGV[1])
if report then
  local ok, value = pcall(cjson.decode, report)
  if ok and type(value) == 'table' and value.nonce ~= ARGV[2] then return 0 end
end
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
`;
