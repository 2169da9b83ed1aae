-- Drop the oldest entries beyond the replay window (so many, and none older than that), never one that the slowest reader
-- has not read, nor the last that it has: that one tells it later that nothing was lost in between.
-- KEYS: 1 log (STREAM)
-- ARGV: 1 entries to keep, 2 position of the slowest reader, 3 entries above which the window is given up for room,
--       4 milliseconds that an entry is kept, 0 = however old it is
-- returns how many were dropped
local log, keep, position, crowded = KEYS[1], tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local kept_ms = tonumber(ARGV[4])
local dropped = 0
if kept_ms > 0 then
  local now = redis.call('TIME')
  local oldest = now[1] * 1000 + math.floor(now[2] / 1000) - kept_ms
  local read = tonumber(string.match(position, '^%d+'))
  dropped = redis.call('XTRIM', log, 'MINID', oldest < read and string.format('%.0f', oldest) or position)
end
local entries = redis.call('XLEN', log)
if entries <= keep then return dropped end
local unread = #redis.call('XRANGE', log, '(' .. position, '+', 'COUNT', 100)
if unread < 100 then
  return dropped + redis.call('XTRIM', log, 'MAXLEN', math.max(keep, unread + 1))
end
if entries > crowded then
  return dropped + redis.call('XTRIM', log, 'MINID', position)
end
return dropped -- far behind, and there is room: the window is cut when it has caught up
