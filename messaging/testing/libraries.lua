-- Libraries of Redis's Lua that fakeredis does not have, in Lua 5.1, as far as the queue's scripts use them.
local cmsgpack, struct = {}, {}
local function big(number, bytes) -- an unsigned integer, its most significant byte first
  local out = {}
  for i = bytes, 1, -1 do
    out[i] = string.char(number % 256)
    number = math.floor(number / 256)
  end
  return table.concat(out)
end
local function head(size, fixed, most, ...) -- the type byte and the length
  if fixed and size <= most then return string.char(fixed + size) end
  for _, kind in ipairs({ ... }) do
    if size < 256 ^ kind[2] then return string.char(kind[1]) .. big(size, kind[2]) end
  end
end
local function pack_float(number)
  local sign = 0
  if number < 0 then sign, number = 1, -number end
  local mantissa, exponent = math.frexp(number)
  mantissa, exponent = (mantissa * 2 - 1) * 2 ^ 52, sign * 2048 + exponent + 1022
  local high = math.floor(mantissa / 2 ^ 48)
  return string.char(0xcb, math.floor(exponent / 16), exponent % 16 * 16 + high) .. big(mantissa % 2 ^ 48, 6)
end
local function pack(value)
  local kind = type(value)
  if kind == 'nil' then return '\192' end
  if kind == 'boolean' then return value and '\195' or '\194' end
  if kind == 'number' then
    if value ~= math.floor(value) or math.abs(value) >= 2 ^ 63 then return pack_float(value) end
    if value >= 0 then
      return head(value, 0, 127, { 0xcc, 1 }, { 0xcd, 2 }, { 0xce, 4 }, { 0xcf, 8 })
    end
    if value >= -32 then return string.char(256 + value) end
    if value >= -2 ^ 31 then return '\210' .. big(2 ^ 32 + value, 4) end
    local low = value % 2 ^ 32
    return '\211' .. big(2 ^ 32 + (value - low) / 2 ^ 32, 4) .. big(low, 4)
  end
  if kind == 'string' then
    return head(#value, 0xa0, 31, { 0xd9, 1 }, { 0xda, 2 }, { 0xdb, 4 }) .. value
  end
  local count, out = 0, {}
  for _ in pairs(value) do count = count + 1 end
  if count == #value then
    for i = 1, count do out[i] = pack(value[i]) end
    return head(count, 0x90, 15, { 0xdc, 2 }, { 0xdd, 4 }) .. table.concat(out)
  end
  for key, item in pairs(value) do out[#out + 1] = pack(key) .. pack(item) end
  return head(count, 0x80, 15, { 0xde, 2 }, { 0xdf, 4 }) .. table.concat(out)
end
function cmsgpack.pack(...)
  local out = {}
  for i = 1, select('#', ...) do out[i] = pack((select(i, ...))) end
  return table.concat(out)
end
local unpack_one
local function number_at(text, at, bytes)
  local number = 0
  for i = at, at + bytes - 1 do number = number * 256 + text:byte(i) end
  return number, at + bytes
end
local function signed_at(text, at, bytes)
  local number, behind = number_at(text, at, bytes)
  if number >= 256 ^ bytes / 2 then number = number - 256 ^ bytes end
  return number, behind
end
local function items_at(text, at, count, is_map)
  local found = {}
  for i = 1, count do
    local key, value = i, nil
    if is_map then key, at = unpack_one(text, at) end
    value, at = unpack_one(text, at)
    found[key] = value
  end
  return found, at
end
local function float_at(text, at)
  local first, second = text:byte(at, at + 1)
  local sign = first >= 128 and -1 or 1
  local exponent = (first % 128) * 16 + math.floor(second / 16)
  local low = number_at(text, at + 2, 6)
  local mantissa = (second % 16) * 2 ^ 48 + low
  if exponent == 0 then return sign * math.ldexp(mantissa / 2 ^ 52, -1022), at + 8 end
  return sign * math.ldexp(1 + mantissa / 2 ^ 52, exponent - 1023), at + 8
end
local SIZES = { [0xd9] = 1, [0xda] = 2, [0xdb] = 4, [0xc4] = 1, [0xc5] = 2, [0xc6] = 4 }
local LISTS = { [0xdc] = 2, [0xdd] = 4 }
local MAPS = { [0xde] = 2, [0xdf] = 4 }
local UNSIGNED = { [0xcc] = 1, [0xcd] = 2, [0xce] = 4, [0xcf] = 8 }
local SIGNED = { [0xd0] = 1, [0xd1] = 2, [0xd2] = 4, [0xd3] = 8 }
function unpack_one(text, at)
  local kind = text:byte(at)
  at = at + 1
  if kind < 0x80 then return kind, at end
  if kind < 0x90 then return items_at(text, at, kind - 0x80, true) end
  if kind < 0xa0 then return items_at(text, at, kind - 0x90, false) end
  local size
  if kind < 0xc0 then size = kind - 0xa0 elseif SIZES[kind] then size, at = number_at(text, at, SIZES[kind]) end
  if size then return text:sub(at, at + size - 1), at + size end
  if kind >= 0xe0 then return kind - 256, at end
  if kind == 0xc0 then return nil, at end
  if kind == 0xc2 or kind == 0xc3 then return kind == 0xc3, at end
  if kind == 0xcb then return float_at(text, at) end
  if UNSIGNED[kind] then return number_at(text, at, UNSIGNED[kind]) end
  if SIGNED[kind] then return signed_at(text, at, SIGNED[kind]) end
  local count, behind = number_at(text, at, LISTS[kind] or MAPS[kind])
  return items_at(text, behind, count, MAPS[kind] ~= nil)
end
function cmsgpack.unpack(text)
  local values, at, count = {}, 1, 0
  while at <= #text do
    count = count + 1
    values[count], at = unpack_one(text, at)
  end
  return unpack(values, 1, count)
end

-- `>I4`, `>I8` (unsigned, most significant byte first) and `x` (a byte that is passed over) are all the formats here.
function struct.pack(format, number)
  return big(number, tonumber(format:match('^>I(%d)$')))
end
function struct.unpack(format, text, at)
  local values, count = {}, 0
  for kind, size in format:sub(2):gmatch('([Ix])(%d?)') do
    if kind == 'x' then
      at = at + 1
    else
      count = count + 1
      values[count], at = number_at(text, at, tonumber(size))
    end
  end
  values[count + 1] = at
  return unpack(values, 1, count + 1)
end
