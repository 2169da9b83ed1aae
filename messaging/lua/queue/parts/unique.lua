-- Unique locks: of all jobs with one digest that have not ended, one holds it.
local function holder_of(digest) -- who holds a lock, and since when
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

local function take_lock(id, job)
  redis.call('HSET', key.unique, job.unique, string.format('%.0f:%s', job.enqueued_ms, id))
  if job.unique_ms then
    redis.call('ZADD', key.locks, now + job.unique_ms, job.unique)
  else
    redis.call('ZREM', key.locks, job.unique) -- of an earlier holder, whose time is over
  end
end
