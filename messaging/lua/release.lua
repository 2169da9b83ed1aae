-- Give the lease back, if it is still ours, so that a standby takes over at once.
-- KEYS: 1 lease (STRING), 2 heartbeat (STRING)
-- ARGV: 1 owner
-- returns 1 if it was ours
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[2])
  return redis.call('DEL', KEYS[1])
end
return 0
