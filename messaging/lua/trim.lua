-- Drop the oldest entries beyond the replay window, never one that the slowest reader has not read.
-- KEYS: 1 log (STREAM)
-- ARGV: 1 entries to keep, 2 position of the slowest reader
-- returns how many were dropped
local log, keep, position = KEYS[1], tonumber(ARGV[1]), ARGV[2]
if redis.call('XLEN', log) <= keep then return 0 end
local unread = redis.call('XRANGE', log, '(' .. position, '+', 'COUNT', 1)
if #unread == 0 then
  return redis.call('XTRIM', log, 'MAXLEN', '~', keep)
end
return redis.call('XTRIM', log, 'MINID', '~', position) -- behind: what is unread counts as the window
