-- Claims event ids: the first to come keeps an id for the dedup window.
-- ARGV: prefix, window in milliseconds, ids (16 bytes each), claims (CLAIM bytes each, see claim.py), CLAIM
-- Returns a flat list: index (from 0), the claim found there, ... for ids that were claimed before.
local prefix, window, ids, claims, width = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local found = {}
for i = 0, #ids / 16 - 1 do
    local key = prefix .. string.sub(ids, i * 16 + 1, i * 16 + 16)
    local claim = string.sub(claims, i * width + 1, i * width + width)
    if not redis.call('SET', key, claim, 'PX', window, 'NX') then
        found[#found + 1] = i
        found[#found + 1] = redis.call('GET', key)
    end
end
return found
