"""The functions that run inside Redis. Each is one step: Redis runs it whole, nothing meanwhile.

All of them know the keys of one crawl, which lie in one slot, and refuse who is not the run that
opened it last. What the keys hold is known to `redis_store.py` alone: `write` carries out commands
that are given to it.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from hashlib import blake2b

KEYS = ("run", "hold", "seen", "starts", "rows", "live", "later", "state")
"""The keys of a crawl, in the order in which the functions get them."""

RUNS = """
local RUN, HOLD, OWN = 1, 2, 8 -- places of keys: a run has eight, and a library may get more
local GONE_MS = 86400000

local function now()
  local time = redis.call('TIME')
  return time[1] .. '.' .. string.format('%06d', time[2])
end

local function hold(key, token, hold_ms)
  if tonumber(hold_ms) > 0 then
    redis.call('SET', key, token, 'PX', hold_ms)
  elseif redis.call('GET', key) == token then
    redis.call('DEL', key)
  end
end

-- What keeps a run from going on: a later one, or that Redis has forgotten what it had taken.
local function fault(keys, epoch, token, taken)
  local found = redis.call('HMGET', keys[RUN], 'epoch', 'token', 'number')
  local last = tonumber(found[1])
  if not last or last < tonumber(epoch) then return {'LOST'} end
  if last > tonumber(epoch) or found[2] ~= token then return {'STALE', last} end
  local number = tonumber(found[3])
  if not number or (taken and number < tonumber(taken)) then return {'LOST'} end
  return nil, number
end

-- Carries commands out, from a place of the arguments on. Each is its name, the place of its key,
-- how many arguments it has, and these.
local function carry_out(keys, args, at)
  while at <= #args do
    local count = tonumber(args[at + 2])
    redis.call(args[at], keys[tonumber(args[at + 1])], unpack(args, at + 3, at + 2 + count))
    at = at + 3 + count
  end
end

-- Notes the number of a call that was carried out, and that the run goes on.
local function note(keys, args, number)
  redis.call('HSET', keys[RUN], 'number', number, 'used_s', now())
  hold(keys[HOLD], args[2], args[4])
end

-- Forget a crawl, but for a day not which run was the last one: an earlier run that was paused
-- meanwhile would begin it anew.
local function forget(keys)
  local found = redis.call('HMGET', keys[RUN], 'epoch', 'token')
  redis.call('UNLINK', unpack(keys, 1, OWN))
  if found[1] then
    redis.call('HSET', keys[RUN], 'epoch', found[1], 'token', found[2], 'gone', 1)
    redis.call('PEXPIRE', keys[RUN], GONE_MS)
  end
end
"""
"""The code of the right of a run, for all libraries. A call of a run begins with its epoch, its
token, its number, and the milliseconds for which it holds on."""

_CODE = (
    RUNS
    + """
local ASIDE_MS = 30 * 86400000

-- epoch or '', token of this run, token of the run before by the same store, ms to hold, takes over
local function open(keys, args)
  local epoch, token, hold_ms = tonumber(args[1]), args[2], args[4]
  local found = redis.call('HMGET', keys[RUN], 'epoch', 'token')
  local last, holder = tonumber(found[1] or 0), found[2]
  local is_again = holder == token
  local is_own = is_again or holder == args[3]
  if epoch and (epoch < last or (epoch == last and not is_own)) then return {'STALE', last} end
  local left_ms = redis.call('PTTL', keys[HOLD])
  if left_ms > 0 and args[5] == '0' and not is_own then return {'HELD', left_ms} end
  if not epoch then epoch = is_again and last or last + 1 end
  if redis.call('HGET', keys[RUN], 'gone') then redis.call('UNLINK', keys[RUN]) end
  redis.call('HSETNX', keys[RUN], 'number', 0)
  redis.call('HSET', keys[RUN], 'epoch', epoch, 'token', token, 'used_s', now())
  hold(keys[HOLD], token, hold_ms)
  return {'OPEN', epoch, now()}
end

-- epoch, token, number, ms to hold, and then the commands
local function write(keys, args)
  local number = tonumber(args[3])
  local refusal, last = fault(keys, args[1], args[2], number - 1)
  if refusal then return refusal end
  local at = number > last and 5 or #args + 1 -- what has come before is not carried out again
  carry_out(keys, args, at)
  note(keys, args, math.max(number, last))
  return {'DONE', now()}
end

-- epoch, token, the number of the last step, ms to hold, and then, once the run has read what was
-- there: requests sent, when, and which since then
local function beat(keys, args)
  local refusal = fault(keys, args[1], args[2], args[3])
  if refusal then return refusal end
  if args[5] then
    redis.call('HSET', keys[RUN], 'sent', args[5], 'sent_s', args[6], 'asked', args[7])
  end
  redis.call('HSET', keys[RUN], 'used_s', now())
  hold(keys[HOLD], args[2], args[4])
  return {'DONE', now()}
end

-- epoch, token, 1 if an earlier run may come
local function clear(keys, args)
  if redis.call('EXISTS', keys[RUN]) == 1 then
    local refusal = fault(keys, args[1], args[2])
    if refusal then return refusal end
    if args[3] == '1' then forget(keys) else redis.call('UNLINK', unpack(keys, 1, OWN)) end
  end
  return {'DONE', now()}
end

-- Removes a crawl that no run uses. It needs no run of its own, which a full server would refuse.
local function remove(keys)
  local left_ms = redis.call('PTTL', keys[HOLD])
  if left_ms > 0 then return {'HELD', left_ms} end
  forget(keys)
  return {'DONE', now()}
end

-- epoch, token, what is put after the names
local function put_aside(keys, args)
  local refusal = fault(keys, args[1], args[2])
  if refusal then return refusal end
  for at = 1, OWN do
    local key = keys[at]
    if redis.call('EXISTS', key) == 1 then
      redis.call('RENAME', key, key .. args[3])
      redis.call('PEXPIRE', key .. args[3], ASIDE_MS)
    end
  end
  return {'DONE', now()}
end
"""
)


@dataclass(frozen=True)
class Library:
    """Functions that belong together. Their names have a digest of the text, so that several
    versions of the crawler can use one Redis."""

    code: str
    """What `FUNCTION LOAD` takes."""
    functions: Sequence[str]
    """The full names of the functions."""

    @classmethod
    def of(cls, title: str, code: str, names: Sequence[str], when_full: Set[str]) -> Library:
        """The library of a text. `names` are its functions that can be called, `when_full` those
        that a server may run that has no memory left."""
        library = f"crawler_{title}_{blake2b(code.encode(), digest_size=5).hexdigest()}"
        flags = {name: "'allow-oom'" if name in when_full else "" for name in names}
        registered = [
            f"redis.register_function{{function_name='{library}_{name}', callback={name},"
            f" flags={{{flags[name]}}}}}"
            for name in names
        ]
        text = "\n".join([f"#!lua name={library}", code, *registered])
        return cls(text, [f"{library}_{name}" for name in names])


_MAY_WHEN_FULL = {"clear", "remove", "put_aside"}
LIBRARY = Library.of(
    "frontier", _CODE, ("open", "write", "beat", "clear", "remove", "put_aside"), _MAY_WHEN_FULL
)
OPEN, WRITE, BEAT, CLEAR, REMOVE, PUT_ASIDE = LIBRARY.functions
CODE = LIBRARY.code
