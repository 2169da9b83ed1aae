-- New jobs enter the queue, unless their id is there already or somebody holds their unique lock.
-- uses keys records moves plain unique
-- KEYS: 1 to 27, those of the queue (parts/keys.lua)
-- ARGV: 1 "" or what is taken for the time, then for each job: its id, its options (MessagePack; "" if they are those
--       of the one before), its body
-- returns { when, then for each that is not new: its place among them, the id of the one that is in its way, when that
--           one was enqueued }; out of memory: error, with nothing enqueued
local ids, reply, new = {}, { now }, 0
for i = 2, #ARGV, 3 do ids[#ids + 1] = ARGV[i] end
load_all(ids)

local function enter(id, job, body)
  job.seq, job.enqueued_ms, job.size = next_sequence(), now, #body
  admit(id, job)
  if job.expires_ms then redis.call('ZADD', key.expiring, job.expires_ms, id) end
  if job.unique then take_lock(id, job) end
  later(fields, key.bodies, id, body)
  new = new + 1
end

local forms = {} -- options -> what plain jobs that have them have in common

local function enter_plain(id, form, body)
  local job, record = form.job, plain_record(form, #body, next_sequence())
  job.seq = sequence
  loaded[id], touched[id] = record, record
  later(additions, key.ready, rank(job), id)
  later(fields, key.bodies, id, body)
  awake = true
  new = new + 1
end

local options
for i = 2, #ARGV, 3 do
  local id, body = ARGV[i], ARGV[i + 2]
  if ARGV[i + 1] ~= '' then options = ARGV[i + 1] end
  local there, since = id, loaded[id] and load_job(id).enqueued_ms
  if not since then
    local form = forms[options]
    local job = not form and cmsgpack.unpack(options)
    if job and is_plain(job) then
      form = plain_form(job)
      forms[options] = form
    end
    if form then
      enter_plain(id, form, body)
    else
      if job.unique then there, since = holder_of(job.unique) end
      if not since then enter(id, job, body) end
    end
  end
  if since then
    local last = #reply
    reply[last + 1], reply[last + 2], reply[last + 3] = (i - 2) / 3, there, since
  end
end
if new > 0 then
  count('enqueued', new)
  flush()
end
return reply
