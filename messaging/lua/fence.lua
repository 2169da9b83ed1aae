-- Take a partition into charge: from here on, whoever has a lower token captures nothing into it any more.
-- KEYS: 1 fence (STRING)
-- ARGV: 1 token
-- returns 1, or 0 if somebody with a higher token has taken it already
if tonumber(redis.call('GET', KEYS[1]) or '0') > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
