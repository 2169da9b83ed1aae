-- How a job ends, and what is kept of it for how long.
local function group_of(job)
  return job.task .. '\0' .. (job.group or '')
end

local function unbury(job) -- it is no dead letter any more
  grow('dead_bytes', -(job.size or 0))
  if redis.call('HINCRBY', key.groups, group_of(job), -1) <= 0 then
    redis.call('HDEL', key.groups, group_of(job))
  end
end

local function drop(id, job) -- whatever is left of a job that has ended and stands in no ZSET any more
  if job.state == 'dead' then
    unbury(job)
  else
    grow('ended_bytes', -(job.size or 0))
  end
  forget(id)
end

local function let_go(id, job) -- of what only a job that has not ended may hold
  if job.expires_ms then redis.call('ZREM', key.expiring, id) end
  if job.unique and not job.unique_ms then
    local lock = redis.call('HGET', key.unique, job.unique)
    if lock and string.sub(lock, string.find(lock, ':', 1, true) + 1) == id then
      redis.call('HDEL', key.unique, job.unique)
    end
  end
  if job.order_key then next_in_order(id, job) end
end

local function finish(id, job, state, keep_ms) -- succeeded, cancelled, expired
  job.state, job.finished_ms, job.parked = state, now, nil
  let_go(id, job)
  count(state)
  if keep_ms <= 0 then
    forget(id)
    return
  end
  job.until_ms = now + keep_ms
  later(additions, key[state], job.until_ms, id)
  grow('ended_bytes', job.size or 0)
  save(id, job)
end

local function die(id, job, reason, group)
  job.state, job.finished_ms, job.parked = 'dead', now, nil
  job.reason, job.group = reason, group
  let_go(id, job)
  count('dead')
  redis.call('ZADD', key.dead, now, id)
  redis.call('HINCRBY', key.groups, group_of(job), 1)
  grow('dead_bytes', job.size or 0)
  save(id, job)
end

local function add_error(id, job, class, traceback) -- the newest ten are kept
  local packed = redis.call('HGET', key.errors, id)
  local errors = packed and cmsgpack.unpack(packed) or {}
  if #errors >= 10 then table.remove(errors, 1) end
  errors[#errors + 1] = { class = class, traceback = traceback, at = now }
  local written = cmsgpack.pack(errors)
  redis.call('HSET', key.errors, id, written)
  job.size = (job.size or 0) + #written - (packed and #packed or 0)
  job.error = class
end

local function lost(id, job) -- its worker is gone; does that make it a dead letter?
  job.crashes = (job.crashes or 0) + 1
  job.forgiven = (job.forgiven or 0) + 1
  leave_running(id, job, 'lost')
  count('lost')
  if job.cancelled_by then
    job.reason = job.cancelled_by
    finish(id, job, 'cancelled', job.keep_failed_ms)
  elseif job.crashes > (job.max_crashes or 0) then
    die(id, job, 'worker lost', 'worker lost')
    return true
  else
    to_ready(id, job)
  end
  return false
end

local function drop_from(name, ids)
  in_chunks('ZREM', name, ids)
  load_all(ids)
  for _, id in ipairs(ids) do
    local job = load_job(id)
    if job then drop(id, job) end
  end
  return #ids
end

local function note_dropped(dropped)
  if dropped > 0 then
    grow('ended_dropped', dropped)
    count('dropped', dropped)
  end
end

local function trim_ended(name, most, cap) -- by time, then those beyond the cap
  drop_from(name, redis.call('ZRANGEBYSCORE', name, '-inf', now, 'LIMIT', 0, most))
  local beyond = math.min(redis.call('ZCARD', name) - cap, most)
  if beyond > 0 then note_dropped(drop_from(name, redis.call('ZRANGE', name, 0, beyond - 1))) end
end

local function first_ended(name) -- of one kind: the one that is dropped next, and when it ended
  local id = redis.call('ZRANGE', name, 0, 0)[1]
  local job = id and load_job(id)
  return id and { name = name, id = id, at = job and job.finished_ms or 0 }
end

local function trim_ended_bytes(most, cap_bytes) -- the oldest of all kinds, which share the cap
  if size_of('ended_bytes') <= cap_bytes then return end
  local firsts, dropped = {}, 0
  for _, name in ipairs({ key.succeeded, key.cancelled, key.expired }) do firsts[name] = first_ended(name) end
  while dropped < most and size_of('ended_bytes') > cap_bytes do
    local oldest
    for _, first in pairs(firsts) do
      if not oldest or first.at < oldest.at then oldest = first end
    end
    if not oldest then break end
    dropped = dropped + drop_from(oldest.name, { oldest.id })
    firsts[oldest.name] = first_ended(oldest.name)
  end
  note_dropped(dropped)
end

local function trim_dead(most, cap, cap_ms, cap_bytes)
  local dropped = 0
  for _ = 1, most do
    local oldest = redis.call('ZRANGE', key.dead, 0, 0, 'WITHSCORES')
    if not oldest[1] then break end
    local within = redis.call('ZCARD', key.dead) <= cap and size_of('dead_bytes') <= cap_bytes
    if within and tonumber(oldest[2]) > now - cap_ms then break end
    dropped = dropped + drop_from(key.dead, { oldest[1] })
  end
  if dropped > 0 then
    grow('dead_dropped', dropped)
    count('dropped', dropped)
  end
end
