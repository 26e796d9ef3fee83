-- KEYS: the counters. ARGV: prefix, now, id, how long it is remembered that it is settled, `any` or `held`: whether something must
-- be left of the reservation because otherwise this was told before; then for each counter: slot, ttl, amount.
local prefix, now, id, kept, mode = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local hold = prefix .. 'r:' .. id
local state = redis.call('GET', hold)
if state == 'settled' or (not state and mode == 'held') then return {generation(prefix), 'known'} end
if is_hold(state) then
  give_back(prefix, state)
  redis.call('ZREM', prefix .. 'leases', id)
end
for i, key in ipairs(KEYS) do
  local at = 5 + (i - 1) * 3
  local hi, lo = number(ARGV[at + 3])
  put(key, ARGV[at + 1], hi, lo, id, ARGV[at + 2])
end
redis.call('SET', hold, 'settled', 'PX', kept)
reap(prefix, now, 16)
return {generation(prefix), 'settled'}
