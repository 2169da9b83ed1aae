-- Take or renew the lease of the listener in charge. Whoever takes it gets a token that is higher than all before it.
-- KEYS: 1 lease (STRING), 2 highest token so far (STRING)
-- ARGV: 1 owner, 2 milliseconds
-- returns { owner in charge after the call, its token }
local owner = redis.call('GET', KEYS[1])
local token = tonumber(redis.call('GET', KEYS[2]) or '0')
if not owner then
  local time = redis.call('TIME') -- so that a server that forgot the last one does not begin anew from 1
  token = math.max(token + 1, time[1] * 1000000 + time[2])
  redis.call('SET', KEYS[2], string.format('%.0f', token))
end
if not owner or owner == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  owner = ARGV[1]
end
return { owner, string.format('%.0f', token) }
