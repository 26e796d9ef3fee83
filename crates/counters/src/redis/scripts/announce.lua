-- ARGV: prefix, this replica, a name for a new generation, how long a replica counts as alive, ttl. Answers the generation,
-- whether it is new, and how many replicas are alive. By the clock of Redis: replicas' clocks may differ.
local prefix, replica, new, alive, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local created = redis.call('SET', prefix .. 'generation', new, 'NX')
redis.call('PEXPIRE', prefix .. 'generation', ttl)
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZADD', prefix .. 'replicas', now, replica)
redis.call('ZREMRANGEBYSCORE', prefix .. 'replicas', '-inf', now - tonumber(alive))
redis.call('PEXPIRE', prefix .. 'replicas', ttl)
return {generation(prefix), created and 'new' or 'known', tostring(redis.call('ZCARD', prefix .. 'replicas'))}
