"""The functions of the register of hosts, which run inside Redis: Redis runs each of them whole.

`tell` alone is called from outside, by `redis_host_register.py`. All time is that of the server.
"""

from __future__ import annotations

from hashlib import blake2b

KEPT_MS = 86_400_000
"""A host is forgotten after that time if its owner does not say that it still has it."""

_CODE = (
    f"local KEPT_MS = {KEPT_MS}\n"
    + """
local LINE_MS, TOLD_MS, OLD_MS = 900000, 60000, 3600000
local NOBODY = -1000 -- the pause of those in line, if there are none

-- What this server has heard of since it started. A server that takes over has heard of nothing.
local known = {}

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Let nobody get a host for a while, because its owner may have been forgotten.
local function be_quiet(prefix, now, lease_ms)
  redis.call('SET', prefix .. ':quiet', now + lease_ms, 'PX', lease_ms)
  redis.call('DEL', prefix .. ':retold')
end

-- The time until which nobody gets a host.
local function quiet_ms(prefix, now, lease_ms)
  if not known[prefix] then
    known[prefix] = true
    if redis.call('EXISTS', prefix .. ':tokens') == 1 then be_quiet(prefix, now, lease_ms) end
  end
  return tonumber(redis.call('GET', prefix .. ':quiet') or 0)
end

local function drop_old_tokens(tokens, now)
  local all = redis.call('HGETALL', tokens)
  for at = 1, #all, 2 do
    if tonumber(all[at + 1]) < now - OLD_MS then redis.call('HDEL', tokens, all[at]) end
  end
end

-- Let an owner know that the line for its host has changed.
local function tell_line(prefix, owner, host)
  redis.call('SADD', prefix .. ':s:' .. owner, host)
  redis.call('PEXPIRE', prefix .. ':s:' .. owner, TOLD_MS)
end

-- The longest pause for which those ask that stand in line and live.
local function longest_pause(prefix, host, now)
  local longest = NOBODY
  for _, token in ipairs(redis.call('ZRANGE', prefix .. ':l:' .. host, 0, 63)) do
    local pause = redis.call('HGET', prefix .. ':h:' .. host, 'w:' .. token)
    local ends = tonumber(redis.call('HGET', prefix .. ':tokens', token) or 0)
    if pause and ends >= now then longest = math.max(longest, tonumber(pause)) end
  end
  return longest
end

-- Give a free host to the first in line whose token lives.
local function assign(prefix, host, now)
  local key, line = prefix .. ':h:' .. host, prefix .. ':l:' .. host
  while true do
    local token = redis.call('ZRANGE', line, 0, 0)[1]
    if not token then return false end
    local pause = redis.call('HGET', key, 'w:' .. token)
    redis.call('ZREM', line, token)
    redis.call('HDEL', key, 'w:' .. token)
    local ends = tonumber(redis.call('HGET', prefix .. ':tokens', token) or 0)
    if ends >= now and pause then
      redis.call('HSET', key, 'owner', token, 'pause', pause)
      redis.call('PEXPIRE', key, KEPT_MS)
      redis.call('SADD', prefix .. ':g:' .. token, host)
      redis.call('PEXPIRE', prefix .. ':g:' .. token, TOLD_MS)
      if redis.call('EXISTS', line) == 1 then tell_line(prefix, token, host) end
      return true
    end
  end
end

-- Who says that it has a host has it, if the register has forgotten something: then the owner that
-- it knows may be an earlier one.
local function hold(prefix, token, host, pause, has_forgotten)
  local key = prefix .. ':h:' .. host
  local owner = redis.call('HGET', key, 'owner')
  if has_forgotten or not owner or owner == '' or owner == token then
    redis.call('HSET', key, 'owner', token, 'pause', pause)
    redis.call('PEXPIRE', key, KEPT_MS)
  end
end

local function take_back(prefix, token, host, wait, keep, state, now)
  local key = prefix .. ':h:' .. host
  if redis.call('HGET', key, 'owner') ~= token then return end
  local free = wait > 0 and now + 1 + wait or now -- a millisecond has begun when its number is read
  redis.call('HSET', key, 'owner', '', 'free', free, 'wait', wait, 'state', state, 'told', now)
  if not assign(prefix, host, now) then redis.call('PEXPIRE', key, math.max(1, keep)) end
end

-- Tell a token again that it owns a host: the answer that told it was lost.
local function tell_again(prefix, token, host)
  redis.call('SADD', prefix .. ':g:' .. token, host)
  redis.call('PEXPIRE', prefix .. ':g:' .. token, TOLD_MS)
end

local function leave(prefix, token, host)
  local key = prefix .. ':h:' .. host
  local owner = redis.call('HGET', key, 'owner') or ''
  local has_left = redis.call('ZREM', prefix .. ':l:' .. host, token) == 1
  redis.call('HDEL', key, 'w:' .. token)
  if has_left and owner ~= '' then tell_line(prefix, owner, host) end
  if owner == token then tell_again(prefix, token, host) end
end

local function want(prefix, token, host, pause, now, quiet, lease_ms)
  local key, line = prefix .. ':h:' .. host, prefix .. ':l:' .. host
  local found = redis.call('HMGET', key, 'owner', 'pause')
  local owner = found[1] or ''
  if owner == token then return tell_again(prefix, token, host) end
  redis.call('ZADD', line, 'NX', now, token)
  redis.call('PEXPIRE', line, LINE_MS)
  redis.call('HSET', key, 'w:' .. token, pause)
  if owner ~= '' then
    local ends = tonumber(redis.call('HGET', prefix .. ':tokens', owner) or 0)
    if ends > now + lease_ms then -- the clock was set back
      ends = now + lease_ms
      redis.call('HSET', prefix .. ':tokens', owner, ends)
    end
    if ends < now then
      local wait = math.max(tonumber(found[2]), longest_pause(prefix, host, now))
      redis.call('HSET', key, 'owner', '', 'free', ends + wait, 'wait', wait, 'state', '')
      owner = ''
    end
  end
  if owner ~= '' then
    tell_line(prefix, owner, host)
  elseif now >= quiet then
    assign(prefix, host, now)
  end
  if redis.call('PTTL', key) == -1 then redis.call('PEXPIRE', key, KEPT_MS) end
end

local function granted(prefix, token, now)
  local told = {}
  for _, host in ipairs(redis.call('SPOP', prefix .. ':g:' .. token, 10000)) do
    local key = prefix .. ':h:' .. host
    local found = redis.call('HMGET', key, 'owner', 'free', 'state', 'told', 'wait')
    if found[1] == token then
      local wait = math.max(0, (tonumber(found[2]) or 0) - now)
      wait = math.min(wait, tonumber(found[5] or wait)) -- the clock may have been set back
      -- No older than it is: it may have been told at the end of its millisecond.
      local age = math.max(0, now - 1 - (tonumber(found[4]) or now))
      for _, each in ipairs({host, wait, found[3] or '', age}) do
        told[#told + 1] = each
      end
    end
  end
  return told
end

-- The hosts for which the line has changed, with the longest pause that it asks for.
local function sought(prefix, token, now)
  local told = {}
  for _, host in ipairs(redis.call('SPOP', prefix .. ':s:' .. token, 10000)) do
    told[#told + 1] = host
    told[#told + 1] = longest_pause(prefix, host, now)
  end
  return told
end

-- keys: that of the tokens, and those of the hosts that are told. All others have the same prefix
-- token, ms of a lease, 1 if it is the last call, 1 if the token was known here, the number of
-- things told; then for each its kind and what it needs
local function tell(keys, args)
  local tokens, token, lease_ms = keys[1], args[1], tonumber(args[2])
  local now, prefix = now_ms(), string.sub(tokens, 1, -#':tokens' - 1)
  local quiet = quiet_ms(prefix, now, lease_ms)
  local ends, at = redis.call('HGET', tokens, token), 6
  if ends and tonumber(ends) < now then return {'ENDED'} end
  if not ends then
    if args[4] == '1' then
      if now >= quiet then be_quiet(prefix, now, lease_ms) end
      return {'ENDED'}
    end
    drop_old_tokens(tokens, now)
  end
  redis.call('HSET', tokens, token, now + lease_ms)
  for _ = 1, tonumber(args[5]) do
    local kind, host = args[at], args[at + 1]
    if kind == 'hold' then
      hold(prefix, token, host, args[at + 2], now < quiet)
      at = at + 3
    elseif kind == 'return' then
      local wait, keep = tonumber(args[at + 2]), tonumber(args[at + 3])
      take_back(prefix, token, host, wait, keep, args[at + 4], now)
      at = at + 5
    elseif kind == 'leave' then
      leave(prefix, token, host)
      at = at + 2
    else
      want(prefix, token, host, args[at + 2], now, quiet, lease_ms)
      at = at + 3
    end
  end
  if args[3] == '1' then redis.call('HSET', tokens, token, now - 1) end
  local forgotten = 0
  if now < quiet and redis.call('SADD', prefix .. ':retold', token) == 1 then
    redis.call('PEXPIRE', prefix .. ':retold', lease_ms)
    forgotten = 1
  end
  return {'VALID', forgotten, granted(prefix, token, now), sought(prefix, token, now)}
end
"""
)
_DIGEST = blake2b(_CODE.encode(), digest_size=5).hexdigest()
LIBRARY = f"crawler_hosts_{_DIGEST}"
"""The name of the functions together. It differs with each version of them."""
TELL = f"{LIBRARY}_tell"
CODE = (
    f"#!lua name={LIBRARY}\n{_CODE}\n"
    f"redis.register_function{{function_name='{TELL}', callback=tell}}\n"
)
"""What `FUNCTION LOAD` takes."""
