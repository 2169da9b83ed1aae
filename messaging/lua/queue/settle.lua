-- How claimed jobs ended. A word of somebody who does not hold the job any more changes nothing.
-- uses keys records moves plain endings settling
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 worker, 3 to 7 caps, 8 outcomes: both as in parts/settling.lua
-- returns { 1 or 0 if it was not theirs, ... }
redis.call('ZREM', key.leases, '') -- a first write that is allowed when Redis is out of memory: then so are the others
local reply = settle_all(ARGV[2], ARGV[8], { unpack(ARGV, 3, 7) })
flush()
return reply
