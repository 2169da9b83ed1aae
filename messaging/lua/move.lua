-- Move items from the right end of a foreign list to the log. An item leaves the list only as it enters the log.
-- KEYS: 1 list (LIST), 2 log (STREAM), 3 epoch (STRING), 4 fence (STRING)
-- ARGV: 1 most entries the log may hold, 2 epoch for a stream that is born now, 3 token of the listener,
--       then for each item, the rightmost first: its bytes as they were read, its event's JSON
-- returns how many were moved: it stops at an item that somebody else has taken meanwhile, or when the log is full;
--         -1 if another listener has taken over
local list, log, epoch_key = KEYS[1], KEYS[2], KEYS[3]
if tonumber(redis.call('GET', KEYS[4]) or '0') > tonumber(ARGV[3]) then return -1 end
local room = tonumber(ARGV[1]) - redis.call('XLEN', log)
local moved = 0
for i = 4, #ARGV, 2 do
  if moved >= room or redis.call('LINDEX', list, -1) ~= ARGV[i] then break end
  if moved == 0 and (redis.call('EXISTS', log) == 0 or redis.call('EXISTS', epoch_key) == 0) then
    redis.call('SET', epoch_key, ARGV[2])
  end
  redis.call('XADD', log, '*', 'e', ARGV[i + 1])
  redis.call('RPOP', list)
  moved = moved + 1
end
return moved
