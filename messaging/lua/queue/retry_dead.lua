-- Dead letters become ready again, with fresh budgets and their history. A unique one needs its lock again.
-- uses keys records moves unique endings
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 who wants it, then ids
-- returns { 1 or 0 if it is no dead letter, or another job holds its unique lock, ... }
redis.call('ZREM', key.leases, '') -- allowed when Redis is out of memory: then so is the rest
local reply = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local job = load_job(id)
  local holder = job and job.state == 'dead' and job.unique and holder_of(job.unique)
  if job and job.state == 'dead' and (not holder or holder == id) then
    redis.call('ZREM', key.dead, id)
    unbury(job)
    job.reason, job.group, job.finished_ms, job.owner = nil, nil, nil, nil
    job.crashes, job.forgiven, job.retried_by = nil, job.attempt, ARGV[2]
    job.due_ms, job.seq = now, next_sequence()
    if job.unique then take_lock(id, job) end
    admit(id, job)
    count('revived')
    reply[#reply + 1] = 1
  else
    reply[#reply + 1] = 0
  end
end
flush()
return reply
