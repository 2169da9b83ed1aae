-- End a job that waits; ask the worker of a running one to stop.
-- uses keys records moves endings
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 id, 3 who wants it
-- returns 1 if that changed anything
redis.call('ZREM', key.leases, '') -- allowed when Redis is out of memory: then so is the rest
local id, by = ARGV[2], ARGV[3]
local job = load_job(id)
if not job then return 0 end
if job.state == 'running' then
  if job.cancelled_by then return 0 end
  job.cancelled_by = by
  save(id, job)
elseif job.state == 'ready' or job.state == 'delayed' then
  leave_waiting(id, job)
  job.reason, job.cancelled_by = by, by
  finish(id, job, 'cancelled', job.keep_failed_ms)
else
  return 0
end
flush()
return 1
