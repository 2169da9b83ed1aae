-- Counters of the latest minutes, or hours.
-- uses keys
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 how many, 3 "" for minutes or "h:" for hours, then names of counters
-- returns { start of the latest in ms, then for each, the oldest first: a count for each name, ... }
local long = ARGV[3] == 'h:' and 3600000 or 60000
local latest = math.floor(now / long) * long
local reply = { latest }
for back = tonumber(ARGV[2]) - 1, 0, -1 do
  local fields = {}
  for i = 4, #ARGV do fields[i - 3] = string.format('%.0f:%s%s', latest - back * long, ARGV[3], ARGV[i]) end
  for _, found in ipairs(redis.call('HMGET', key.stats, unpack(fields))) do reply[#reply + 1] = tonumber(found or 0) end
end
return reply
