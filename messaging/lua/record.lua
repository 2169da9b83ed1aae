-- Append what foreign publishers sent over Pub/Sub to the log, without telling Pub/Sub again.
-- KEYS: 1 log (STREAM), 2 epoch (STRING)
-- ARGV: 1 most entries the log may hold, 2 epoch for a stream that is born now, then the JSON of each event
-- returns how many were appended: fewer than given if the log is full
local log, epoch_key = KEYS[1], KEYS[2]
local room = tonumber(ARGV[1]) - redis.call('XLEN', log)
if room <= 0 then return 0 end
if redis.call('EXISTS', log) == 0 or redis.call('EXISTS', epoch_key) == 0 then
  redis.call('SET', epoch_key, ARGV[2])
end
local done = 0
for i = 3, #ARGV do
  if done >= room then break end
  redis.call('XADD', log, '*', 'e', ARGV[i])
  done = done + 1
end
return done
