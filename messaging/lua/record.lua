-- Append what foreign publishers sent over Pub/Sub to the log, without telling Pub/Sub again.
-- KEYS: 1 log (STREAM), 2 epoch (STRING), 3 fence (STRING)
-- ARGV: 1 most entries the log may hold, 2 epoch for a stream that is born now, 3 token of the listener,
--       then the JSON of each event
-- returns how many were appended: fewer than given if the log is full; -1 if another listener has taken over
local log, epoch_key = KEYS[1], KEYS[2]
if tonumber(redis.call('GET', KEYS[3]) or '0') > tonumber(ARGV[3]) then return -1 end
local room = tonumber(ARGV[1]) - redis.call('XLEN', log)
if room <= 0 then return 0 end
if redis.call('EXISTS', log) == 0 or redis.call('EXISTS', epoch_key) == 0 then
  redis.call('SET', epoch_key, ARGV[2])
end
local done = 0
for i = 4, #ARGV do
  if done >= room then break end
  redis.call('XADD', log, '*', 'e', ARGV[i])
  done = done + 1
end
return done
