-- Plain jobs: they have no key, lock or end of waiting, and succeed in their first attempt. Nearly all are so, so that
-- their records are not unpacked and packed again at each step: bytes are cut and joined. To all other readers they are
-- maps like any other; they start with map16, a count, and "plain": 1 ready, 2 running. Once such a job is anything else
-- it is written from a table, without that word.
local fresh = '\165plain\1\165state\165ready' -- at 4 to 22; behind it, up to the tail: size, keep_ms, enqueued_ms, seq

local function is_plain(job) -- as it was asked for
  return not (job.unique or job.order_key or job.limit_key or job.rate_key or job.expires_ms) and (job.due_ms or 0) <= now
end

local function u64(number) -- with the byte that says so
  return '\207' .. struct.pack('>I8', number)
end

-- What all plain jobs of the same options have in common.
local function plain_form(job)
  local keep_ms = job.keep_ms
  job.keep_ms = nil -- it has a place of its own
  local packed = cmsgpack.pack(job)
  job.keep_ms = keep_ms
  local first = string.byte(packed)
  local few = first < 144 -- fixmap: up to 15 fields; else map16
  local number = few and first - 128 or string.byte(packed, 3)
  return {
    job = job,
    start = '\222\0' .. string.char(number + 6) .. fresh .. '\164size\206',
    middle = '\167keep_ms' .. u64(keep_ms) .. '\171enqueued_ms' .. u64(now) .. '\163seq\207',
    tail = string.sub(packed, few and 2 or 4),
  }
end

local function plain_record(form, size, seq)
  return form.start .. struct.pack('>I4', size) .. form.middle .. struct.pack('>I8', seq) .. form.tail
end

-- Of all plain jobs that a worker has claimed at one time: the start, and the rest up to size.
local function plain_hold(worker)
  local owner = cmsgpack.pack(worker)
  local start = '\165plain\2\165state\167running\165owner' .. owner
  local whole = start .. '\165token\1\167attempt\1\170started_ms' .. u64(now) .. '\167last_ms' .. u64(now)
    .. '\168attempts\145\146' .. owner .. u64(now)
  return start, whole
end

local function take_plain(raw, whole) -- its record in the worker's hands, and since when it has waited; nil: not plain
  if string.byte(raw) ~= 222 or string.sub(raw, 4, 22) ~= fresh then return end
  return '\222\0' .. string.char(string.byte(raw, 3) + 6) .. whole .. string.sub(raw, 23), struct.unpack('>I8', raw, 63)
end

-- A function that lets plain jobs of a worker succeed: true if this one was plain, and theirs.
local function plain_settling(worker)
  local start, whole = plain_hold(worker)
  local start_ends, at = 3 + #start, 4 + #whole -- where a record's size is
  local owner, kept = cmsgpack.pack(worker), {}

  local function ended(held, keep_ms, raw)
    local began_ms = struct.unpack('>I8', raw, start_ends + 29)
    local began = u64(began_ms)
    return {
      held = held,
      keep_ms = keep_ms,
      ran = now - began_ms,
      score = string.format('%.0f', now + keep_ms),
      record = '\165state\169succeeded\171finished_ms' .. u64(now) .. '\168until_ms' .. u64(now + keep_ms)
        .. '\165owner' .. owner .. '\165token\1\167attempt\1\170started_ms' .. began .. '\167last_ms' .. began
        .. '\168attempts\145\148' .. owner .. began .. u64(now) .. '\169succeeded',
    }
  end

  return function(id, raw, token, result)
    if token ~= 1 or string.byte(raw) ~= 222 or string.sub(raw, 4, start_ends) ~= start then return false end
    local size, keep_ms = struct.unpack('>I4xxxxxxxxxI8', raw, at + 6)
    local held = string.sub(raw, 4, at - 1)
    if kept.held ~= held or kept.keep_ms ~= keep_ms then kept = ended(held, keep_ms, raw) end
    later(removals, key.leases, id)
    timed('run', kept.ran)
    count('succeeded')
    if keep_ms == 0 then
      forget(id)
      return true
    end
    local rest
    if result == 'null' then
      rest = string.sub(raw, at)
    else
      later(fields, key.results, id, result)
      size = size + #result
      rest = '\164size\206' .. struct.pack('>I4', size) .. string.sub(raw, at + 10)
    end
    local record = '\222\0' .. string.char(string.byte(raw, 3) + 1) .. kept.record .. rest
    loaded[id], touched[id] = record, record
    later(additions, key.succeeded, kept.score, id)
    grow('ended_bytes', size)
    return true
  end
end
