-- What every script of a queue starts with: the names of its keys, which are always the same and all declared,
-- and the server's clock.
local key = {
  jobs = KEYS[1],       -- HASH id -> the job without its payload, as MessagePack
  bodies = KEYS[2],     -- HASH id -> what was enqueued
  results = KEYS[3],    -- HASH id -> what it returned
  errors = KEYS[4],     -- HASH id -> the newest errors, as MessagePack
  ready = KEYS[5],      -- ZSET id by priority and sequence: may be claimed
  due = KEYS[6],        -- ZSET sequence:id by time
  leases = KEYS[7],     -- ZSET id by the end of its lease: running
  ordered = KEYS[8],    -- ZSET order key NUL sequence NUL id: behind another one of their order key
  heads = KEYS[9],      -- HASH order key -> id of the one in front
  limited = KEYS[10],   -- ZSET limit key (or NUL rate key) NUL rank NUL id: no room when it was their turn
  held = KEYS[11],      -- HASH limit key -> how many run
  unique = KEYS[12],    -- HASH digest -> enqueued_ms:id
  locks = KEYS[13],     -- ZSET digest by time: unique locks that end by the clock
  expiring = KEYS[14],  -- ZSET id by time: to be begun by then
  dead = KEYS[15],      -- ZSET id by the time of death
  succeeded = KEYS[16], -- ZSET id by the time it is dropped
  cancelled = KEYS[17], -- ZSET, the same
  expired = KEYS[18],   -- ZSET, the same
  ctl = KEYS[19],       -- HASH: sequence, pause, sizes, what was dropped, cursor and times of the sweeper, confirmations
  marker = KEYS[20],    -- ZSET: what waiting workers block on
  stats = KEYS[21],     -- HASH minute:name -> count, and hour:h:name
  groups = KEYS[22],    -- HASH task NUL error class -> dead letters
  workers = KEYS[23],   -- HASH worker -> what it says of itself
  beats = KEYS[24],     -- ZSET worker by its latest beat
  sweeper = KEYS[25],   -- STRING with a time to live: somebody's turn to sweep
  rates = KEYS[26],     -- ZSET rate key by the time from which its next one is no sooner than its rate has it
  turns = KEYS[27],     -- ZSET rate key by the time at which the best of those who wait for it has its turn
}
local now = tonumber(ARGV[1])
if not now then
  local clock = redis.call('TIME')
  now = clock[1] * 1000 + math.floor(clock[2] / 1000)
end
