-- What a worker holds, by the queue's knowledge.
-- uses keys
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 worker, 3 where to go on, 0 at first, 4 how many to look at
-- returns { where to go on, 0 if that was all, then for each job: id, token }
local found = redis.call('ZSCAN', key.leases, ARGV[3], 'COUNT', ARGV[4])
local ids, reply = {}, { found[1] }
for i = 1, #found[2], 2 do ids[#ids + 1] = found[2][i] end
for at = 1, #ids, 1000 do
  local last = math.min(at + 999, #ids)
  for i, raw in ipairs(redis.call('HMGET', key.jobs, unpack(ids, at, last))) do
    local job = raw and string.find(raw, ARGV[2], 1, true) and cmsgpack.unpack(raw) -- few are its own
    if job and job.state == 'running' and job.owner == ARGV[2] then
      reply[#reply + 1], reply[#reply + 2] = ids[at + i - 1], job.token
    end
  end
end
return reply
