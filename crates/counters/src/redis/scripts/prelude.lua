-- What all scripts share. Amounts are whole numbers up to 10^18, and Lua's numbers are exact only up to 2^53: an amount is two
-- numbers, thousands of millions and the rest. The arithmetic is that of `lingate_metering::counter`.
local B = 1000000000

local function number(text)
  if #text <= 9 then return 0, tonumber(text) end
  return tonumber(string.sub(text, 1, -10)), tonumber(string.sub(text, -9))
end

local function text(hi, lo)
  if hi > 0 then return string.format('%.0f%09.0f', hi, lo) end
  return string.format('%.0f', lo)
end

local function sum(ah, al, bh, bl)
  local hi, lo = ah + bh, al + bl
  if lo >= B then hi, lo = hi + 1, lo - B end
  return hi, lo
end

local function most(hi, lo)
  if hi >= B then return B, 0 end
  return hi, lo
end

local function difference(ah, al, bh, bl)
  local hi, lo = ah - bh, al - bl
  if lo < 0 then hi, lo = hi - 1, lo + B end
  if hi < 0 then return 0, 0 end
  return hi, lo
end

local function more(ah, al, bh, bl)
  return ah > bh or (ah == bh and al > bl)
end

local function parse(value)
  local amount, birth = string.match(value, '^(%d+) (%S+)$')
  local hi, lo = number(amount)
  return hi, lo, birth
end

-- All slots of a counter, what the counted ones hold together, and the names of the others.
local function read(key, first, last)
  local fields, slots, out, hi, lo = redis.call('HGETALL', key), {}, {}, 0, 0
  for i = 1, #fields, 2 do
    local slot = tonumber(fields[i])
    if slot >= first and slot <= last then
      local h, l = parse(fields[i + 1])
      hi, lo = sum(hi, lo, h, l)
      slots[#slots + 1] = {slot, h, l}
    else
      out[#out + 1] = fields[i]
    end
  end
  return slots, out, hi, lo
end

-- Adds to a slot; answers the birth of what holds the amount.
local function put(key, slot, hi, lo, birth, ttl)
  if hi == 0 and lo == 0 then return birth end
  local value = redis.call('HGET', key, slot)
  if value then
    local h, l, b = parse(value)
    hi, lo = most(sum(h, l, hi, lo))
    birth = b
  else
    hi, lo = most(hi, lo)
  end
  redis.call('HSET', key, slot, text(hi, lo) .. ' ' .. birth)
  redis.call('PEXPIRE', key, ttl)
  return birth
end

-- Gives back what a reservation holds. Its text: a line for each charge, `counter slot birth amount`.
local function give_back(prefix, hold)
  for counter, slot, birth, amount in string.gmatch(hold, '\n(%S+) (%S+) (%S+) (%S+)') do
    local key = prefix .. counter
    local value = redis.call('HGET', key, slot)
    if value then
      local hi, lo, b = parse(value)
      if b == birth then
        hi, lo = difference(hi, lo, number(amount))
        if hi == 0 and lo == 0 then
          redis.call('HDEL', key, slot)
        else
          redis.call('HSET', key, slot, text(hi, lo) .. ' ' .. b)
        end
      end
    end
  end
end

local function is_hold(state)
  return state and string.sub(state, 1, 1) == 'h'
end

-- Ends leases that are over, a few: what they hold is given back, and it is remembered that they ended so.
local function reap(prefix, now, count)
  local leases = prefix .. 'leases'
  local due = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, count)
  for _, id in ipairs(due) do
    local key = prefix .. 'r:' .. id
    local state = redis.call('GET', key)
    if is_hold(state) then
      give_back(prefix, state)
      redis.call('SET', key, 'lapsed', 'PX', 86400000)
    end
    redis.call('ZREM', leases, id)
  end
  return #due
end

local function generation(prefix)
  return redis.call('GET', prefix .. 'generation') or ''
end
