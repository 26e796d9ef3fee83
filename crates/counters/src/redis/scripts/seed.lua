-- KEYS: the counters. ARGV: prefix, a birth; then for each counter: slot, ttl, the least that it is to hold.
local prefix, birth = ARGV[1], ARGV[2]
for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * 3
  local hi, lo = number(ARGV[at + 3])
  local value = redis.call('HGET', key, ARGV[at + 1])
  if value then
    local h, l = parse(value)
    hi, lo = difference(hi, lo, h, l)
  end
  put(key, ARGV[at + 1], hi, lo, birth, ARGV[at + 2])
end
return {generation(prefix), 'seeded'}
