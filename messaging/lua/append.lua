-- Append events to the log and tell Pub/Sub subscribers, all in one step.
-- KEYS: 1 log (STREAM), 2 epoch (STRING)
-- ARGV: 1 most entries the log may hold, 2 epoch for a stream that is born now, 3 partition,
--       then for each event: its Pub/Sub channel, its JSON
-- returns { refused PUBLISHes, position, position, ... }; error FULL, with nothing appended, if the log has no room
local log, epoch_key = KEYS[1], KEYS[2]
local most, newborn, partition = tonumber(ARGV[1]), ARGV[2], ARGV[3]

local entries = redis.call('XLEN', log)
if entries + (#ARGV - 3) / 2 > most then
  return redis.error_reply('FULL the log holds ' .. entries .. ' of ' .. most .. ' entries')
end
local epoch = redis.call('GET', epoch_key)
if not epoch or (entries == 0 and redis.call('EXISTS', log) == 0) then
  epoch = newborn
  redis.call('SET', epoch_key, epoch)
end

local reply = { 0 }
for i = 4, #ARGV, 2 do
  local event = ARGV[i + 1]
  local position = redis.call('XADD', log, '*', 'e', event)
  local published = string.sub(event, 1, -2) .. ',"logid":"' .. epoch .. '.' .. partition .. '.' .. position .. '"}'
  local heard = redis.pcall('PUBLISH', ARGV[i], published)
  if type(heard) == 'table' and heard.err then
    reply[1] = reply[1] + 1 -- refused by an ACL: the log is what counts
  end
  reply[#reply + 1] = position
end
return reply
