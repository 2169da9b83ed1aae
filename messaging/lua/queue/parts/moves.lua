-- From one place to another, while the job has not ended.
local function rank(job)
  return (100 - (job.priority or 0)) * 17592186044416 + job.seq -- 2^44 jobs before a priority meets the next one
end

local function ordered_member(id, job)
  return job.order_key .. '\0' .. string.format('%016.0f', job.seq) .. '\0' .. id
end

local function limited_member(id, job)
  local word = job.parked == 'rate' and '\0' .. job.rate_key or job.limit_key
  return word .. '\0' .. string.format('%016.0f', rank(job)) .. '\0' .. id
end

local function due_member(id, job)
  return string.format('%016.0f:%s', job.seq, id)
end

local function first_of(name, word) -- of the members that start with word NUL: the first, and its id
  local found = redis.call('ZRANGEBYLEX', name, '[' .. word .. '\0', '(' .. word .. '\1', 'LIMIT', 0, 1)[1]
  return found, found and string.sub(found, #word + 19)
end

local function to_due(id, job, due_ms)
  job.state, job.due_ms, job.parked = 'delayed', due_ms, nil
  redis.call('ZADD', key.due, due_ms, due_member(id, job))
  save(id, job)
  local first = redis.call('ZRANGE', key.due, 0, 0, 'WITHSCORES')
  if tonumber(first[2]) >= due_ms then redis.call('ZADD', key.marker, due_ms, 'due') end
end

local function to_ready(id, job) -- a job that is at the head of its order key, if it has one
  job.state, job.parked = 'ready', nil
  redis.call('ZADD', key.ready, rank(job), id)
  save(id, job)
  awake = true -- flush() wakes one waiting worker; the one that claims wakes the next if it leaves something
end

local function admit(id, job) -- a new job, or one back from the dead: behind the others of its order key
  if job.order_key and redis.call('HSETNX', key.heads, job.order_key, id) == 0 then
    job.state, job.parked = 'ready', 'order'
    redis.call('ZADD', key.ordered, 0, ordered_member(id, job))
    save(id, job)
  elseif (job.due_ms or 0) > now then
    to_due(id, job, job.due_ms)
  else
    to_ready(id, job)
  end
end

local function park(id, job, why) -- no room under its limit, or not so soon by its rate
  job.parked = why
  redis.call('ZADD', key.limited, 0, limited_member(id, job))
  save(id, job)
end

local function unpark(limit_key) -- somebody has left: the best of those who wait has its turn again
  local member, id = first_of(key.limited, limit_key)
  if not member then return end
  redis.call('ZREM', key.limited, member)
  local job = load_job(id)
  if not job then return unpark(limit_key) end
  to_ready(id, job)
end

-- A rate is kept by the generic cell rate algorithm (ITU-T I.371): each that begins moves the time of its key on by a gap,
-- from now on or from where it is, and may begin as long as that is no further away than burst - 1 gaps.
local function rate_time(job) -- when it may begin, and the time of its key
  local time = math.max(tonumber(redis.call('ZSCORE', key.rates, job.rate_key) or 0), now)
  return time - ((job.burst or 1) - 1) * (job.rate_us / 1000), time
end

local function next_turn(rate_key) -- somebody has begun, or has left his turn to others: the best of those who wait
  redis.call('ZREM', key.turns, rate_key)
  local member, id = first_of(key.limited, '\0' .. rate_key)
  if not member then return end
  local job = load_job(id)
  local at = job and math.ceil(rate_time(job)) or now
  if at <= now then
    redis.call('ZREM', key.limited, member)
    if not job then return next_turn(rate_key) end
    return to_ready(id, job)
  end
  redis.call('ZADD', key.turns, at, rate_key)
  local watched = redis.call('ZSCORE', key.marker, 'due')
  if not watched or tonumber(watched) > at then redis.call('ZADD', key.marker, at, 'due') end
end

local function next_in_order(id, job) -- the head of its order key has ended
  if redis.call('HGET', key.heads, job.order_key) ~= id then return end
  while true do
    local member, next_id = first_of(key.ordered, job.order_key)
    if not member then
      redis.call('HDEL', key.heads, job.order_key)
      return
    end
    redis.call('ZREM', key.ordered, member)
    local next_job = load_job(next_id)
    if next_job then
      redis.call('HSET', key.heads, job.order_key, next_id)
      if (next_job.due_ms or 0) > now then return to_due(next_id, next_job, next_job.due_ms) end
      return to_ready(next_id, next_job)
    end
  end
end

local function first_turn() -- when it is somebody's by the rates
  return tonumber(redis.call('ZRANGE', key.turns, 0, 0, 'WITHSCORES')[2])
end

local function promote(most) -- what is due; returns how many, and the time of the next one
  if (first_turn() or now + 1) <= now then
    for _, rate_key in ipairs(redis.call('ZRANGEBYSCORE', key.turns, '-inf', now, 'LIMIT', 0, most)) do
      next_turn(rate_key)
    end
  end
  local members = redis.call('ZRANGEBYSCORE', key.due, '-inf', now, 'LIMIT', 0, most)
  if #members > 0 then
    redis.call('ZREMRANGEBYRANK', key.due, 0, #members - 1)
    local ids = {}
    for i, member in ipairs(members) do ids[i] = string.sub(member, 18) end
    load_all(ids)
    for _, id in ipairs(ids) do
      local job = load_job(id)
      if job and job.state == 'delayed' then
        job.seq = next_sequence()
        to_ready(id, job)
      end
    end
  end
  return #members, tonumber(redis.call('ZRANGE', key.due, 0, 0, 'WITHSCORES')[2])
end

local function leave_waiting(id, job) -- out of wherever a job waits that is ready or delayed
  if job.state == 'delayed' then
    redis.call('ZREM', key.due, due_member(id, job))
  elseif job.parked == 'order' then
    redis.call('ZREM', key.ordered, ordered_member(id, job))
  elseif job.parked then
    redis.call('ZREM', key.limited, limited_member(id, job))
  else
    redis.call('ZREM', key.ready, id)
    if job.limit_key then unpark(job.limit_key) end -- it may have been let in for a place that is free now
    if job.rate_key then next_turn(job.rate_key) end
  end
  job.parked = nil
end

local function leave_running(id, job, outcome)
  later(removals, key.leases, id)
  local attempt = job.attempts and job.attempts[#job.attempts]
  if attempt then attempt[3], attempt[4] = now, outcome end
  if outcome ~= 'lost' then timed('run', now - job.last_ms) end
  if job.limit_key then
    hold(job.limit_key, -1)
    unpark(job.limit_key)
  end
end
