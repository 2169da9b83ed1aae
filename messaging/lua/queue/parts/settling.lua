-- How claimed jobs ended. A word of somebody who does not hold the job any more changes nothing.
local outcomes = {
  succeeded = function(id, job, result)
    leave_running(id, job, 'succeeded')
    if job.keep_ms > 0 and result ~= 'null' then -- a success that says nothing returned null
      later(fields, key.results, id, result)
      job.size = (job.size or 0) + #result
    end
    finish(id, job, 'succeeded', job.keep_ms)
  end,
  retry = function(id, job, delay, class, traceback)
    leave_running(id, job, 'retried')
    add_error(id, job, class, traceback)
    count('retried')
    to_due(id, job, now + delay)
  end,
  failed = function(id, job, reason, class, traceback)
    leave_running(id, job, 'failed')
    if class ~= '' then add_error(id, job, class, traceback) end
    die(id, job, reason, class ~= '' and class or reason)
  end,
  released = function(id, job, delay)
    leave_running(id, job, 'released')
    job.attempt = job.attempt - 1
    count('released')
    if delay > 0 then
      to_due(id, job, now + delay)
    else
      to_ready(id, job)
    end
  end,
}

-- Outcomes (MessagePack), each { id, token, and what became of it }: "succeeded" result, "retry" delay class traceback,
-- "failed" reason class traceback, "released" delay.
-- The caps: most ended jobs to keep, most bytes of these, most dead letters, milliseconds to keep those, most bytes of
-- those. { 1 or 0 if it was not theirs, ... }
local function settle_all(worker, packed, caps)
  local ended, reply, ids, died = cmsgpack.unpack(packed), {}, {}, false
  for i, each in ipairs(ended) do ids[i] = each[1] end
  load_all(ids)
  local settle_plain = plain_settling(worker)
  for i, each in ipairs(ended) do
    local id, how = each[1], each[3]
    local raw = loaded[id]
    local plain = how == 'succeeded' and type(raw) == 'string' and settle_plain(id, raw, each[2], each[4])
    local job = not plain and load_job(id)
    local theirs = plain or job and job.state == 'running' and job.owner == worker and job.token == each[2]
    if theirs and not plain then
      if job.cancelled_by and how ~= 'succeeded' then
        leave_running(id, job, 'cancelled')
        job.reason = job.cancelled_by
        finish(id, job, 'cancelled', job.keep_failed_ms)
      else
        died = died or how == 'failed'
        outcomes[how](id, job, each[4], each[5], each[6])
      end
    end
    reply[i] = theirs and 1 or 0
  end
  trim_ended(key.succeeded, 2 * #reply, tonumber(caps[1]))
  trim_ended_bytes(2 * #reply, tonumber(caps[2]))
  if died then trim_dead(100, tonumber(caps[3]), tonumber(caps[4]), tonumber(caps[5])) end
  return reply
end
