-- Note the latest tick of a recurring task; an older one changes nothing, unless the one that it replaces is given.
-- KEYS: 1 ticks (HASH schedule's name -> milliseconds)
-- ARGV: 1 schedule's name, 2 milliseconds, 3 "" or the milliseconds that are noted, to be given up
-- returns 1 if it was noted
local known = redis.call('HGET', KEYS[1], ARGV[1])
if ARGV[3] == '' and tonumber(known or '-1') >= tonumber(ARGV[2]) then return 0 end
if ARGV[3] ~= '' and known ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
