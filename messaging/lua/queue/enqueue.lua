-- New jobs enter the queue, unless their id is there already or somebody holds their unique lock.
-- uses keys records moves
-- KEYS: 1 to 26, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, then for each job: its id, its options (MessagePack), its body
-- returns { id, 1 if it is new, when that one was enqueued, ... }; out of memory: error, with nothing enqueued
local ids, reply, new = {}, {}, 0
for i = 2, #ARGV, 3 do ids[#ids + 1] = ARGV[i] end
load_all(ids)

local function holder_of(digest) -- who holds a unique lock, and since when
  local lock = redis.call('HGET', key.unique, digest)
  if not lock then return end
  local ends = redis.call('ZSCORE', key.locks, digest)
  local since, id = string.match(lock, '^(%d+):(.*)$')
  if ends and tonumber(ends) <= now then return end
  if not ends then
    local job = load_job(id)
    if not job or job.finished_ms then return end
  end
  return id, tonumber(since)
end

local function enter(id, job, body)
  job.seq, job.enqueued_ms, job.size = next_sequence(), now, #body
  admit(id, job)
  if job.expires_ms then redis.call('ZADD', key.expiring, job.expires_ms, id) end
  if job.unique then
    redis.call('HSET', key.unique, job.unique, string.format('%.0f:%s', now, id))
    if job.unique_ms then
      redis.call('ZADD', key.locks, now + job.unique_ms, job.unique)
    else
      redis.call('ZREM', key.locks, job.unique) -- of an earlier holder, whose time is over
    end
  end
  later(fields, key.bodies, id, body)
  new = new + 1
end

local alike = {} -- options -> a job that has them, where all that have them go straight to the end of their priority

local function enter_another(id, job, body)
  job.seq, job.size = next_sequence(), #body
  later(additions, key.ready, rank(job), id)
  later(fields, key.bodies, id, body)
  loaded[id], touched[id] = job, cmsgpack.pack(job)
  new = new + 1
end

for i = 2, #ARGV, 3 do
  local id, options = ARGV[i], ARGV[i + 1]
  local is_new, since = 0, loaded[id] and loaded[id].enqueued_ms
  if not since and alike[options] then
    enter_another(id, alike[options], ARGV[i + 2])
    is_new, since = 1, now
  elseif not since then
    local job, holder = cmsgpack.unpack(options), nil
    if job.unique then holder, since = holder_of(job.unique) end
    if holder then
      id = holder
    else
      enter(id, job, ARGV[i + 2])
      is_new, since = 1, now
      if not (job.unique or job.order_key or job.expires_ms or job.state ~= 'ready') then
        touched[id], alike[options] = cmsgpack.pack(job), job
      end
    end
  end
  reply[#reply + 1] = id
  reply[#reply + 1] = is_new
  reply[#reply + 1] = since
end
if new > 0 then
  count('enqueued', new)
  flush()
end
return reply
