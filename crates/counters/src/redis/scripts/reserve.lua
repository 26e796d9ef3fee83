-- KEYS: each charge's counter. ARGV: prefix, now, id, end of the lease, how long the lease is kept after it, `take` or `ask`;
-- then for each charge: its counter without prefix, slot, first and last slot that count, ttl, capacity or nothing, ask.
-- Answers generation, `taken`, used…; or generation, `refused`, then place, used, slot that must leave or nothing…
local prefix, now, id, lease_end, kept, mode = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local leases, hold = prefix .. 'leases', prefix .. 'r:' .. id
reap(prefix, now, 16)

local charges = {}
for i, key in ipairs(KEYS) do
  local at = 6 + (i - 1) * 7
  local ask_hi, ask_lo = number(ARGV[at + 7])
  charges[i] = {
    key = key, counter = ARGV[at + 1], slot = ARGV[at + 2], first = tonumber(ARGV[at + 3]), last = tonumber(ARGV[at + 4]),
    ttl = ARGV[at + 5], capacity = ARGV[at + 6], hi = ask_hi, lo = ask_lo,
  }
end

local function used()
  local answer = {generation(prefix), 'taken'}
  for _, charge in ipairs(charges) do
    local _, _, hi, lo = read(charge.key, charge.first, charge.last)
    answer[#answer + 1] = text(most(hi, lo))
  end
  return answer
end

local state = redis.call('GET', hold)
if is_hold(state) then
  local score = redis.call('ZSCORE', leases, id)
  if score and tonumber(score) > tonumber(now) then
    if mode == 'take' and tonumber(lease_end) > tonumber(score) then
      redis.call('ZADD', leases, lease_end, id)
      redis.call('PEXPIRE', hold, tonumber(lease_end) - tonumber(now) + tonumber(kept))
    end
    reap(prefix, now, 1000)
    return used()
  end
  give_back(prefix, state)
  redis.call('ZREM', leases, id)
  redis.call('DEL', hold)
elseif state == 'settled' then
  reap(prefix, now, 1000)
  return used()
end

local function misfits()
  local refusals, asked = {}, {}
  for i, charge in ipairs(charges) do
    local slots, out, hi, lo = read(charge.key, charge.first, charge.last)
    charge.out = out
    local before = asked[charge.key] or {0, 0}
    local want_hi, want_lo = sum(before[1], before[2], charge.hi, charge.lo)
    if charge.capacity ~= '' then
      local cap_hi, cap_lo = number(charge.capacity)
      local top_hi, top_lo = most(hi, lo)
      local all_hi, all_lo = sum(top_hi, top_lo, want_hi, want_lo)
      if more(all_hi, all_lo, cap_hi, cap_lo) then
        local frees = ''
        if not more(want_hi, want_lo, cap_hi, cap_lo) then
          table.sort(slots, function(a, b) return a[1] < b[1] end)
          for _, slot in ipairs(slots) do
            hi, lo = difference(hi, lo, slot[2], slot[3])
            all_hi, all_lo = sum(hi, lo, want_hi, want_lo)
            if not more(all_hi, all_lo, cap_hi, cap_lo) then
              frees = string.format('%.0f', slot[1])
              break
            end
          end
        end
        refusals[#refusals + 1] = string.format('%d', i - 1)
        refusals[#refusals + 1] = text(top_hi, top_lo)
        refusals[#refusals + 1] = frees
      end
    end
    asked[charge.key] = {want_hi, want_lo}
  end
  return refusals, asked
end

local refusals, asked = misfits()
if #refusals > 0 and reap(prefix, now, 1000) > 0 then refusals, asked = misfits() end
if #refusals > 0 then return {generation(prefix), 'refused', unpack(refusals)} end

if mode == 'ask' then
  local answer = used()
  for i, charge in ipairs(charges) do
    local hi, lo = number(answer[i + 2])
    answer[i + 2] = text(most(sum(hi, lo, asked[charge.key][1], asked[charge.key][2])))
  end
  return answer
end

local lines = {'h'}
for _, charge in ipairs(charges) do
  for i = 1, #charge.out, 500 do redis.call('HDEL', charge.key, unpack(charge.out, i, math.min(i + 499, #charge.out))) end
  local birth = put(charge.key, charge.slot, charge.hi, charge.lo, id, charge.ttl)
  lines[#lines + 1] = charge.counter .. ' ' .. charge.slot .. ' ' .. birth .. ' ' .. text(charge.hi, charge.lo)
end
redis.call('SET', hold, table.concat(lines, '\n'), 'PX', tonumber(lease_end) - tonumber(now) + tonumber(kept))
redis.call('ZADD', leases, lease_end, id)
redis.call('PEXPIRE', leases, tonumber(lease_end) - tonumber(now) + tonumber(kept))
return used()
