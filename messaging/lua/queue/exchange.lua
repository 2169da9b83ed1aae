-- How claimed jobs ended, and the best jobs for the slots that are free now: settle and claim in one step.
-- uses keys records moves plain endings settling taking
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 worker, 3 to 7 caps, 8 outcomes: both as in parts/settling.lua,
--       9 how many at most, 10 milliseconds of the lease
-- returns { what settle returns, what claim returns }
redis.call('ZREM', key.leases, '') -- a first write that is allowed when Redis is out of memory: then so are the others
local settled = settle_all(ARGV[2], ARGV[8], { unpack(ARGV, 3, 7) })
local taken = take_best(ARGV[2], tonumber(ARGV[9]), tonumber(ARGV[10]))
flush()
return { settled, taken }
