-- Jobs as tables. What is read or written once for many jobs waits for flush(), so that a batch costs few commands.
local loaded, touched, gone = {}, {}, {} -- loaded: a table, or as Redis has it; touched: true, or as it will be written
local additions, removals, fields = {}, {}, {}
local counts, minute = {}, math.floor(now / 60000) * 60000
local grown = {}
local awake, sequence, held_now, held_touched = false, nil, {}, {}

local function in_chunks(command, name, items)
  for at = 1, #items, 1000 do
    redis.call(command, name, unpack(items, at, math.min(at + 999, #items)))
  end
end

local function load_all(ids)
  for at = 1, #ids, 1000 do
    local last = math.min(at + 999, #ids)
    local found = redis.call('HMGET', key.jobs, unpack(ids, at, last))
    for i = at, last do
      if loaded[ids[i]] == nil then
        loaded[ids[i]] = found[i - at + 1]
      end
    end
  end
end

local function load_job(id)
  local job = loaded[id]
  if job == nil then job = redis.call('HGET', key.jobs, id) end
  if type(job) == 'string' then
    job = cmsgpack.unpack(job)
    job.plain = nil -- what is written from a table has no such form: see plain.lua
  end
  loaded[id] = job
  return job
end

local function save(id, job)
  loaded[id], touched[id] = job, true
end

local function forget(id)
  loaded[id], touched[id] = false, nil
  gone[#gone + 1] = id
end

local function later(kind, name, first, second) -- additions: score, member; removals: member; fields: field, value
  local items = kind[name]
  if not items then
    items = {}
    kind[name] = items
  end
  local last = #items
  items[last + 1], items[last + 2] = first, second
end

local function count(name, by)
  counts[name] = (counts[name] or 0) + (by or 1)
end

local buckets = {}
local function timed(name, ms) -- a histogram: bucket n holds what took less than 2^n milliseconds
  local bucket = buckets[ms]
  if not bucket then
    bucket = ':' .. (ms < 1 and 0 or select(2, math.frexp(math.floor(ms))))
    buckets[ms] = bucket
  end
  count(name .. bucket)
end

local function grow(name, by) -- a number in ctl
  grown[name] = (grown[name] or 0) + by
end

local function size_of(name)
  return tonumber(redis.call('HGET', key.ctl, name) or 0) + (grown[name] or 0)
end

local function next_sequence()
  sequence = (sequence or tonumber(redis.call('HGET', key.ctl, 'sequence') or 0)) + 1
  return sequence
end

local function held(limit_key)
  if not held_now[limit_key] then
    held_now[limit_key] = tonumber(redis.call('HGET', key.held, limit_key) or 0)
  end
  return held_now[limit_key]
end

local function hold(limit_key, by)
  held_now[limit_key] = math.max(held(limit_key) + by, 0)
  held_touched[limit_key] = true
end

local function flush() -- removals first: they are allowed when Redis is out of memory, and then so is the rest
  for name, items in pairs(removals) do in_chunks('ZREM', name, items) end
  if #gone > 0 then
    for _, name in ipairs({ key.jobs, key.bodies, key.results, key.errors }) do in_chunks('HDEL', name, gone) end
  end
  local packed = {}
  for id in pairs(touched) do
    local last, done = #packed, touched[id]
    packed[last + 1], packed[last + 2] = id, done == true and cmsgpack.pack(loaded[id]) or done
  end
  in_chunks('HSET', key.jobs, packed)
  for name, items in pairs(fields) do in_chunks('HSET', name, items) end
  for name, items in pairs(additions) do in_chunks('ZADD', name, items) end
  for limit_key in pairs(held_touched) do
    if held_now[limit_key] > 0 then
      redis.call('HSET', key.held, limit_key, held_now[limit_key])
    else
      redis.call('HDEL', key.held, limit_key)
    end
  end
  if sequence then redis.call('HSET', key.ctl, 'sequence', sequence) end
  if awake then redis.call('ZADD', key.marker, 0, 'now') end
  for name, by in pairs(grown) do
    if by ~= 0 then redis.call('HINCRBY', key.ctl, name, by) end
  end
  local names, counted = {}, {}
  for name in pairs(counts) do names[#names + 1] = string.format('%.0f:%s', minute, name) end
  local before = #names > 0 and redis.call('HMGET', key.stats, unpack(names)) or {}
  for i, name in ipairs(names) do
    local by = counts[string.sub(name, string.find(name, ':', 1, true) + 1)]
    counted[2 * i - 1], counted[2 * i] = name, string.format('%.0f', tonumber(before[i] or 0) + by)
  end
  in_chunks('HSET', key.stats, counted)
end
