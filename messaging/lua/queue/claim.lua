-- Take the best jobs out of the queue for a worker, under a lease.
-- uses keys records moves plain endings taking
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, 2 worker, 3 how many at most, 4 milliseconds of the lease
-- returns { milliseconds until the next delayed job is due or -1, then for each job: id, the job (MessagePack), body,
--           errors (MessagePack) or false }
local reply = take_best(ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]))
flush()
return reply
