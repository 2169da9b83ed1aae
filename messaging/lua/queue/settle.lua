-- How claimed jobs ended. A word of somebody who does not hold the job any more changes nothing.
-- uses keys records moves endings
-- KEYS: 1 to 26, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 worker, 3 most ended jobs to keep, 4 most bytes of these, 5 most dead letters,
--       6 milliseconds to keep those, 7 most bytes of those,
--       then for each job: id, token, and what became of it in five more:
--       "succeeded" result "" "" "", "retry" delay class traceback "", "failed" reason class traceback "",
--       "released" delay "" "" ""
-- returns { 1 or 0 if it was not theirs, ... }
redis.call('ZREM', key.leases, '') -- a first write that is allowed when Redis is out of memory: then so are the others
local worker, reply, ids, died = ARGV[2], {}, {}, false
for i = 8, #ARGV, 6 do ids[#ids + 1] = ARGV[i] end
load_all(ids)

local outcomes = {
  succeeded = function(id, job, result)
    leave_running(id, job, 'succeeded')
    if job.keep_ms > 0 then
      later(fields, key.results, id, result)
      job.size = (job.size or 0) + #result
    end
    finish(id, job, 'succeeded', job.keep_ms)
  end,
  retry = function(id, job, delay, class, traceback)
    leave_running(id, job, 'retried')
    add_error(id, job, class, traceback)
    count('retried')
    to_due(id, job, now + tonumber(delay))
  end,
  failed = function(id, job, reason, class, traceback)
    leave_running(id, job, 'failed')
    if class ~= '' then add_error(id, job, class, traceback) end
    die(id, job, reason, class ~= '' and class or reason)
    died = true
  end,
  released = function(id, job, delay)
    leave_running(id, job, 'released')
    job.attempt = job.attempt - 1
    count('released')
    if tonumber(delay) > 0 then
      to_due(id, job, now + tonumber(delay))
    else
      to_ready(id, job)
    end
  end,
}

for i = 8, #ARGV, 6 do
  local id, token, how = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local job = loaded[id]
  local theirs = job and job.state == 'running' and job.owner == worker and job.token == token
  if theirs and job.cancelled_by and how ~= 'succeeded' then
    leave_running(id, job, 'cancelled')
    job.reason = job.cancelled_by
    finish(id, job, 'cancelled', job.keep_failed_ms)
  elseif theirs then
    outcomes[how](id, job, ARGV[i + 3], ARGV[i + 4], ARGV[i + 5])
  end
  reply[#reply + 1] = theirs and 1 or 0
end
trim_ended(key.succeeded, 2 * #reply, tonumber(ARGV[3]), tonumber(ARGV[4]))
if died then trim_dead(100, tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])) end
flush()
return reply
