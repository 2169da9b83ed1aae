-- Take back what lost workers held, and put right whatever is not where it belongs. Bounded.
-- uses keys records moves endings
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 milliseconds of a turn: a quarter of a lease, 3 most ended jobs to keep, 4 most bytes of these,
--       5 most dead letters, 6 milliseconds to keep those, 7 most bytes of those, 8 minutes that statistics are kept,
--       9 hours that they are kept after that, as one count an hour
-- returns { reclaimed, of these to the dead letters, expired, reconciled }; only zeros when it is not our turn
redis.call('ZREM', key.leases, '') -- allowed when Redis is out of memory: then so is the rest
if not redis.call('SET', key.sweeper, '1', 'NX', 'PX', ARGV[2]) then return { 0, 0, 0, 0 } end
local reclaimed, died, expired, reconciled = 0, 0, 0, 0
promote(500)

-- Whoever stops the server or moves its clock stops everybody's renewals, and lets all leases run out. It shows in the
-- time between two sweeps, since there is one in each turn as long as there is a worker. Nobody is lost then until the
-- living have had the time to renew, which they do three times in a lease.
local patience = 2 * ARGV[2]
local swept_ms, patient_until = unpack(redis.call('HMGET', key.ctl, 'swept_ms', 'patient_until'))
if math.abs(now - tonumber(swept_ms or 0)) > patience then patient_until = now + patience end
redis.call('HSET', key.ctl, 'swept_ms', now, 'patient_until', patient_until or 0)

local silent = {}
if now >= tonumber(patient_until or 0) then
  silent = redis.call('ZRANGEBYSCORE', key.leases, '-inf', now, 'LIMIT', 0, 500)
end
load_all(silent)
for _, id in ipairs(silent) do
  local job = load_job(id)
  if job and job.state == 'running' then
    reclaimed = reclaimed + 1
    if lost(id, job) then died = died + 1 end
  else
    later(removals, key.leases, id)
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', key.expiring, '-inf', now, 'LIMIT', 0, 500)) do
  local job = load_job(id)
  if job and not job.started_ms and (job.state == 'ready' or job.state == 'delayed') then
    leave_waiting(id, job)
    finish(id, job, 'expired', job.keep_failed_ms)
    expired = expired + 1
  end
  redis.call('ZREM', key.expiring, id)
end

local function is_in_place(id, job)
  if job.state == 'ready' and job.parked == 'order' then
    local head = redis.call('HGET', key.heads, job.order_key)
    return redis.call('ZSCORE', key.ordered, ordered_member(id, job)) and head and load_job(head)
      and not loaded[head].finished_ms
  elseif job.state == 'ready' and job.parked then
    return redis.call('ZSCORE', key.limited, limited_member(id, job))
  elseif job.state == 'ready' then
    return redis.call('ZSCORE', key.ready, id)
  elseif job.state == 'running' then
    return redis.call('ZSCORE', key.leases, id)
  elseif job.state == 'delayed' then
    return redis.call('ZSCORE', key.due, due_member(id, job))
  end
  return redis.call('ZSCORE', key[job.state], id)
end

local function put_right(id, job)
  if job.state == 'ready' and job.parked == 'order' then
    redis.call('ZREM', key.ordered, ordered_member(id, job))
    local head = redis.call('HGET', key.heads, job.order_key)
    if head and head ~= id and (not load_job(head) or loaded[head].finished_ms) then
      redis.call('HDEL', key.heads, job.order_key)
    end
    admit(id, job)
  elseif job.state == 'ready' then
    if job.parked then redis.call('ZREM', key.limited, limited_member(id, job)) end
    to_ready(id, job)
  elseif job.state == 'running' then
    if lost(id, job) then died = died + 1 end
  elseif job.state == 'delayed' then
    to_due(id, job, job.due_ms or now)
  elseif job.state == 'dead' then
    redis.call('ZADD', key.dead, job.finished_ms, id)
  else
    redis.call('ZADD', key[job.state], job.until_ms or now, id)
  end
end

flush() -- what is looked at from here on is as it stands in Redis
touched, gone, additions, removals, fields, grown, counts = {}, {}, {}, {}, {}, {}, {}
held_touched, awake, sequence = {}, false, nil
local found = redis.call('HSCAN', key.jobs, redis.call('HGET', key.ctl, 'cursor') or '0', 'COUNT', 500)
for i = 1, #found[2], 2 do
  local id = found[2][i]
  local job = load_job(id)
  if job and not is_in_place(id, job) then
    put_right(id, job)
    reconciled = reconciled + 1
  elseif job and job.parked == 'limit' and held(job.limit_key) == 0 then
    put_right(id, job) -- others of its key may be in front, but then it is parked again
  elseif job and job.parked == 'rate' and not redis.call('ZSCORE', key.turns, job.rate_key) then
    next_turn(job.rate_key) -- it may be the turn of one that is ready; then there is a turn more
  end
end
redis.call('HSET', key.ctl, 'cursor', found[1])

for _, name in ipairs({ key.succeeded, key.cancelled, key.expired }) do trim_ended(name, 1000, tonumber(ARGV[3])) end
trim_ended_bytes(1000, tonumber(ARGV[4]))
trim_dead(1000, tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]))
for _, digest in ipairs(redis.call('ZRANGEBYSCORE', key.locks, '-inf', now, 'LIMIT', 0, 500)) do
  redis.call('ZREM', key.locks, digest)
  redis.call('HDEL', key.unique, digest)
end

redis.call('ZREMRANGEBYSCORE', key.rates, '-inf', now)

local kept_from = minute - ARGV[8] * 60000
if tonumber(redis.call('HGET', key.ctl, 'stats_from') or 0) + 600000 < kept_from then -- every ten minutes
  local hours_from = kept_from - ARGV[9] * 3600000
  local old, hours, counted = {}, {}, {}
  for _, field in ipairs(redis.call('HKEYS', key.stats)) do
    local at, name = string.match(field, '^(%d+):(.+)$')
    at = tonumber(at)
    local hourly = string.sub(name, 1, 2) == 'h:'
    if not hourly and at < kept_from then
      old[#old + 1] = field
      local hour = string.format('%.0f:h:%s', at - at % 3600000, name)
      if at >= hours_from then hours[hour] = (hours[hour] or 0) + tonumber(redis.call('HGET', key.stats, field)) end
    elseif hourly and at < hours_from then
      old[#old + 1] = field
    end
  end
  in_chunks('HDEL', key.stats, old)
  for hour, by in pairs(hours) do
    counted[#counted + 1] = hour
    counted[#counted + 1] = string.format('%.0f', tonumber(redis.call('HGET', key.stats, hour) or 0) + by)
  end
  in_chunks('HSET', key.stats, counted)
  redis.call('HSET', key.ctl, 'stats_from', kept_from)
end
if reclaimed > 0 then count('reclaimed', reclaimed) end
if reconciled > 0 then count('reconciled', reconciled) end
awake = awake or redis.call('ZCARD', key.ready) > 0
flush()
return { reclaimed, died, expired, reconciled }
