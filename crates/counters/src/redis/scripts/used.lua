-- KEYS: the counters. ARGV: prefix, now; then for each counter the first and last slot that count.
local prefix, now = ARGV[1], ARGV[2]
reap(prefix, now, 1000)
local answer = {generation(prefix), 'used'}
for i, key in ipairs(KEYS) do
  local _, _, hi, lo = read(key, tonumber(ARGV[1 + i * 2]), tonumber(ARGV[2 + i * 2]))
  answer[#answer + 1] = text(most(hi, lo))
end
return answer
