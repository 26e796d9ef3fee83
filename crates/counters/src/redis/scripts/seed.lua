-- KEYS: the counters. ARGV: prefix, a birth; then for each counter: slot, ttl, the least that this slot and newer ones are to hold
-- together. What is newest comes first.
local prefix, birth = ARGV[1], ARGV[2]
for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * 3
  local _, _, held_hi, held_lo = read(key, tonumber(ARGV[at + 1]), math.huge)
  local hi, lo = number(ARGV[at + 3])
  hi, lo = difference(hi, lo, held_hi, held_lo)
  put(key, ARGV[at + 1], hi, lo, birth, ARGV[at + 2])
end
return {generation(prefix), 'seeded'}
