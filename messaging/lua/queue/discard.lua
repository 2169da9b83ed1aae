-- Remove jobs that do not run, and whatever they hold.
-- uses keys records moves endings
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 the state that they are in, then ids
-- returns { 1 or 0 if it is not in that state, ... }
redis.call('ZREM', key.leases, '') -- allowed when Redis is out of memory: then so is the rest
local reply = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local job = load_job(id)
  if job and job.state == ARGV[2] and job.state ~= 'running' then
    if job.state == 'ready' or job.state == 'delayed' then
      leave_waiting(id, job)
      let_go(id, job)
      forget(id)
      count('purged')
    else
      redis.call('ZREM', key[job.state], id)
      drop(id, job)
    end
    count('discarded')
    reply[#reply + 1] = 1
  else
    reply[#reply + 1] = 0
  end
end
flush()
return reply
