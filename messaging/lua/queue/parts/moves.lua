-- From one place to another, while the job has not ended.
local function rank(job)
  return (100 - (job.priority or 0)) * 17592186044416 + job.seq -- 2^44 jobs before a priority meets the next one
end

local function ordered_member(id, job)
  return job.order_key .. '\0' .. string.format('%016.0f', job.seq) .. '\0' .. id
end

local function limited_member(id, job)
  return job.limit_key .. '\0' .. string.format('%016.0f', rank(job)) .. '\0' .. id
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

local function park(id, job) -- no room under its limit
  job.parked = 'limit'
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

local function promote(most) -- what is due; returns how many, and the time of the next one
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
  elseif job.parked == 'limit' then
    redis.call('ZREM', key.limited, limited_member(id, job))
  else
    redis.call('ZREM', key.ready, id)
    if job.limit_key then unpark(job.limit_key) end -- it may have been let in for a place that is free now
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
