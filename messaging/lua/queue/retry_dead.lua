-- Dead letters become ready again, with fresh budgets and their history.
-- uses keys records moves endings
-- KEYS: 1 to 25, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 who wants it, then ids
-- returns { 1 or 0 if it is no dead letter, ... }
redis.call('ZREM', key.leases, '') -- allowed when Redis is out of memory: then so is the rest
local reply = {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local job = load_job(id)
  if job and job.state == 'dead' then
    redis.call('ZREM', key.dead, id)
    unbury(job)
    job.reason, job.group, job.finished_ms, job.owner = nil, nil, nil, nil
    job.crashes, job.forgiven, job.retried_by = nil, job.attempt, ARGV[2]
    job.due_ms, job.seq = now, next_sequence()
    admit(id, job)
    count('revived')
    reply[#reply + 1] = 1
  else
    reply[#reply + 1] = 0
  end
end
flush()
return reply
