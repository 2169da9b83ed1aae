-- Make a delayed job ready before its time.
-- uses keys records moves
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 id
-- returns 1 if it was delayed
redis.call('ZREM', key.leases, '') -- allowed when Redis is out of memory: then so is the rest
local job = load_job(ARGV[2])
if not job or job.state ~= 'delayed' then return 0 end
leave_waiting(ARGV[2], job)
job.due_ms, job.seq = now, next_sequence()
to_ready(ARGV[2], job)
flush()
return 1
