-- A worker is dead: what it held goes to the next one, or to the dead letters.
-- uses keys records moves endings
-- KEYS: 1 to 26, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 worker, 3 how many jobs at most,
--       4 most dead letters, 5 milliseconds to keep them, 6 most bytes of them
-- returns { id, ... }
redis.call('ZREM', key.leases, '') -- allowed when Redis is out of memory: then so is the rest
local start, died = ARGV[2] .. '\0', false
local members = redis.call('ZRANGEBYLEX', key.owned, '[' .. start, '(' .. ARGV[2] .. '\1', 'LIMIT', 0, ARGV[3])
local ids = {}
for i, member in ipairs(members) do
  ids[i] = string.sub(member, #start + 1)
  later(removals, key.owned, member)
end
load_all(ids)
for _, id in ipairs(ids) do
  local job = loaded[id]
  if job and job.state == 'running' and job.owner == ARGV[2] and lost(id, job) then died = true end
end
if died then trim_dead(100, tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])) end
flush()
return ids
