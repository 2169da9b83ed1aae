-- Lengthen the leases of jobs that a worker holds.
-- uses keys
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 worker, 3 milliseconds from now, then for each job: its id, its token
-- returns { place among them, "lost" or "cancelled", ... } for those that it does not hold any more, or shall stop
local reply, leases = {}, {}
local ids = {}
for i = 4, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local found = #ids > 0 and redis.call('HMGET', key.jobs, unpack(ids)) or {}
for n, id in ipairs(ids) do
  local job = found[n] and cmsgpack.unpack(found[n])
  local theirs = job and job.state == 'running' and job.owner == ARGV[2] and job.token == tonumber(ARGV[3 + 2 * n])
  if theirs then
    leases[#leases + 1] = now + ARGV[3]
    leases[#leases + 1] = id
  end
  if not theirs or job.cancelled_by then
    reply[#reply + 1] = n - 1
    reply[#reply + 1] = theirs and 'cancelled' or 'lost'
  end
end
if #leases > 0 then
  redis.call('ZREM', key.leases, '') -- allowed when Redis is out of memory: then so is the rest
  redis.call('ZADD', key.leases, unpack(leases))
end
return reply
