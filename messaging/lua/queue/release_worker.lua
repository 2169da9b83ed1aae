-- A worker is dead: what it held goes to the next one, or to the dead letters.
-- uses keys records moves endings
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 worker, 3 where to go on, 0 at first, 7 how many to look at,
--       4 most dead letters, 5 milliseconds to keep them, 6 most bytes of them
-- returns { where to go on, 0 if that was all, then ids }
redis.call('ZREM', key.leases, '') -- allowed when Redis is out of memory: then so is the rest
local found = redis.call('ZSCAN', key.leases, ARGV[3], 'COUNT', ARGV[7])
local ids, reply, died = {}, { found[1] }, false
for i = 1, #found[2], 2 do ids[#ids + 1] = found[2][i] end
load_all(ids)
for _, id in ipairs(ids) do
  local raw = loaded[id]
  local job = raw and (type(raw) ~= 'string' or string.find(raw, ARGV[2], 1, true)) and load_job(id) -- few are its own
  if job and job.state == 'running' and job.owner == ARGV[2] then
    reply[#reply + 1] = id
    if lost(id, job) then died = true end
  end
end
if died then trim_dead(100, tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])) end
flush()
return reply
