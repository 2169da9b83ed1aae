-- Counters of the latest minutes.
-- uses keys
-- KEYS: 1 to 25, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 how many minutes, then names of counters
-- returns { minute of the latest, then for each minute, the oldest first: a count for each name, ... }
local latest = math.floor(now / 60000) * 60000
local reply = { latest }
for back = tonumber(ARGV[2]) - 1, 0, -1 do
  local fields = {}
  for i = 3, #ARGV do fields[i - 2] = string.format('%.0f:%s', latest - back * 60000, ARGV[i]) end
  for _, found in ipairs(redis.call('HMGET', key.stats, unpack(fields))) do reply[#reply + 1] = tonumber(found or 0) end
end
return reply
