-- All that is known of jobs. One whose time of keeping is over is not shown, even if it is still there.
-- uses keys
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, then ids
-- returns for each: { the job (MessagePack), body, result or false, errors (MessagePack) or false }, or false
local reply = {}
for i = 2, #ARGV do
  local packed = redis.call('HGET', key.jobs, ARGV[i])
  local job = packed and cmsgpack.unpack(packed)
  if not job or (job.until_ms and job.until_ms <= now) then
    reply[i - 1] = false
  else
    local body = redis.call('HGET', key.bodies, ARGV[i]) or ''
    local result = redis.call('HGET', key.results, ARGV[i])
    reply[i - 1] = { packed, body, result, redis.call('HGET', key.errors, ARGV[i]) }
  end
end
return reply
