-- Out of the queue and into a worker's hands, under a lease.
local function take(id, job, worker, until_ms)
  job.state, job.owner, job.parked = 'running', worker, nil
  job.token, job.attempt = (job.token or 0) + 1, (job.attempt or 0) + 1
  if not job.started_ms then
    job.started_ms = now
    if job.expires_ms then redis.call('ZREM', key.expiring, id) end
  end
  job.last_ms = now
  job.attempts = job.attempts or {}
  if #job.attempts >= 100 then table.remove(job.attempts, 1) end
  job.attempts[#job.attempts + 1] = { worker, now }
  if job.limit_key then hold(job.limit_key, 1) end
  if job.rate_key then
    local _, time = rate_time(job)
    redis.call('ZADD', key.rates, time + job.rate_us / 1000, job.rate_key)
    next_turn(job.rate_key)
  end
  later(additions, key.leases, until_ms, id)
  timed('wait', now - math.max(job.enqueued_ms, job.due_ms or 0))
  save(id, job)
end

-- Up to so many of the best jobs: { milliseconds until the next delayed job is due or -1, then for each job: id, the job
-- (MessagePack), body, errors (MessagePack) or false }
local function take_best(worker, wanted, lease)
  if redis.call('HEXISTS', key.ctl, 'paused') == 1 then
    redis.call('DEL', key.marker)
    awake = false
    return { -1 }
  end
  local _, next_due = promote(wanted * 2 + 100)

  local until_ms, _, whole = string.format('%.0f', now + lease), plain_hold(worker)
  local taken, looks = {}, wanted + 200 -- looks: those that turn out to have expired or to have no room cost one each
  while #taken < wanted and looks > 0 do
    local popped = redis.call('ZPOPMIN', key.ready, math.min(wanted - #taken, looks))
    if #popped == 0 then break end
    local ids = {}
    for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
    load_all(ids)
    looks = looks - #ids
    awake = false
    for _, id in ipairs(ids) do
      local raw = loaded[id]
      local record, since
      if not awake and type(raw) == 'string' then record, since = take_plain(raw, whole) end
      local job = not record and load_job(id)
      if record then
        loaded[id], touched[id] = record, record
        later(additions, key.leases, until_ms, id)
        timed('wait', now - since)
        taken[#taken + 1] = id
      elseif job and job.state == 'ready' then
        if awake then
          to_ready(id, job) -- somebody was let in meanwhile, perhaps with a better rank: look again
        elseif job.limit_key and held(job.limit_key) >= job.limit then
          park(id, job, 'limit')
          if job.rate_key then next_turn(job.rate_key) end
        elseif job.rate_key and rate_time(job) > now then
          park(id, job, 'rate')
          next_turn(job.rate_key)
          if job.limit_key then unpark(job.limit_key) end
        elseif job.expires_ms and job.expires_ms <= now and not job.started_ms then
          finish(id, job, 'expired', job.keep_failed_ms)
          if job.limit_key then unpark(job.limit_key) end
          if job.rate_key then next_turn(job.rate_key) end
        else
          take(id, job, worker, until_ms)
          taken[#taken + 1] = id
        end
      end
    end
  end

  awake = redis.call('ZCARD', key.ready) > 0
  next_due = math.min(next_due or math.huge, first_turn() or math.huge)
  if next_due == math.huge then next_due = nil end
  if not awake and #taken > 0 and next_due then
    redis.call('ZADD', key.marker, next_due, 'due') -- this worker is busy now: somebody else has to watch the clock
    redis.call('ZREM', key.marker, 'now')
  elseif not awake then
    redis.call('DEL', key.marker)
  end
  local reply = { next_due and math.max(next_due - now, 0) or -1 }
  if #taken > 0 then
    count('claimed', #taken)
    for at = 1, #taken, 1000 do
      local last = math.min(at + 999, #taken)
      local bodies = redis.call('HMGET', key.bodies, unpack(taken, at, last))
      for i = at, last do
        local id = taken[i]
        local packed, errors, size = loaded[id], false, #reply
        if type(packed) ~= 'string' then
          errors = packed.error and redis.call('HGET', key.errors, id)
          packed = cmsgpack.pack(packed)
          touched[id] = packed
        end
        reply[size + 1], reply[size + 2], reply[size + 3] = id, packed, bodies[i - at + 1] or ''
        reply[size + 4] = errors or false
      end
    end
  end
  return reply
end
