-- Give entries new positions, in their order, from one on whose own is larger than a column of the table holds: somebody
-- added it with an id of their own, and all that came after it had to be larger still. A stream never forgets its largest
-- id, so it is made anew, with the newest of what stands before them; all of that has been stored.
-- KEYS: 1 log (STREAM)
-- ARGV: 1 position of the first of them, 2 entries before it to keep
-- returns how many were moved
local log, first, keep = KEYS[1], ARGV[1], ARGV[2]
local before = redis.call('XREVRANGE', log, '(' .. first, '-', 'COUNT', keep) or {}
local moved = redis.call('XRANGE', log, first, '+')

local function add(position, fields) -- more than Lua can hand over at once is none of ours: its bytes are what is kept
  if #fields > 7000 then fields = { 'joined', table.concat(fields, ' ') } end
  redis.call('XADD', log, position, unpack(fields))
end

redis.call('DEL', log)
for i = #before, 1, -1 do add(before[i][1], before[i][2]) end
for _, entry in ipairs(moved) do add('*', entry[2]) end
return #moved
