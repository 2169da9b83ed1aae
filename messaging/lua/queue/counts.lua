-- How many jobs are where.
-- uses keys
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time
-- returns { now, ready, behind their order key, without room, running, delayed, due now, succeeded, dead, cancelled,
--           expired, age of the oldest ready one, time of the next due one or -1, dead bytes, dropped dead letters,
--           dropped others, ended bytes, pause (MessagePack) or false }
local function size(name) return redis.call('ZCARD', name) end
local ctl = redis.call('HMGET', key.ctl, 'dead_bytes', 'dead_dropped', 'ended_dropped', 'ended_bytes', 'paused')
local oldest = 0
local bands, low = 0, '-inf' -- the first of each priority is its oldest; the first 20 priorities are looked at
while bands < 20 do
  local first = redis.call('ZRANGEBYSCORE', key.ready, low, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if not first[1] then break end
  local packed = redis.call('HGET', key.jobs, first[1])
  local job = packed and cmsgpack.unpack(packed)
  if job then oldest = math.max(oldest, now - math.max(job.enqueued_ms, job.due_ms or 0)) end
  bands, low = bands + 1, (math.floor(tonumber(first[2]) / 17592186044416) + 1) * 17592186044416
end
local next_due = redis.call('ZRANGE', key.due, 0, 0, 'WITHSCORES')[2]
return {
  now, size(key.ready), size(key.ordered), size(key.limited), size(key.leases), size(key.due),
  redis.call('ZCOUNT', key.due, '-inf', now), size(key.succeeded), size(key.dead), size(key.cancelled),
  size(key.expired), oldest, next_due and tonumber(next_due) or -1, tonumber(ctl[1] or 0), tonumber(ctl[2] or 0),
  tonumber(ctl[3] or 0), tonumber(ctl[4] or 0), ctl[5],
}
