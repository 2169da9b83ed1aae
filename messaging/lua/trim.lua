-- Drop the oldest entries beyond the replay window, never one that the slowest reader has not read, nor the last
-- that it has: that one tells it later that nothing was lost in between.
-- KEYS: 1 log (STREAM)
-- ARGV: 1 entries to keep, 2 position of the slowest reader, 3 entries above which the window is given up for room
-- returns how many were dropped
local log, keep, position, crowded = KEYS[1], tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local entries = redis.call('XLEN', log)
if entries <= keep then return 0 end
local unread = #redis.call('XRANGE', log, '(' .. position, '+', 'COUNT', 100)
if unread < 100 then
  return redis.call('XTRIM', log, 'MAXLEN', math.max(keep, unread + 1))
end
if entries > crowded then
  return redis.call('XTRIM', log, 'MINID', position)
end
return 0 -- far behind, and there is room: the window is cut when it has caught up
