-- ARGV: prefix, now, the new end, how long leases are kept after it; then the ids.
local prefix, now, lease_end, kept = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local leases = prefix .. 'leases'
local ttl = tonumber(lease_end) - tonumber(now) + tonumber(kept)
for i = 5, #ARGV do
  local score = redis.call('ZSCORE', leases, ARGV[i])
  if score and tonumber(score) > tonumber(now) and tonumber(lease_end) > tonumber(score) then
    redis.call('ZADD', leases, lease_end, ARGV[i])
    redis.call('PEXPIRE', prefix .. 'r:' .. ARGV[i], ttl)
    redis.call('PEXPIRE', leases, ttl)
  end
end
reap(prefix, now, 16)
return {generation(prefix), 'renewed'}
