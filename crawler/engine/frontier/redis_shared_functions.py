"""The functions inside Redis for the shards of one task. Each is one step, like those of one run.

What they change is described in `redis_shared_task.py`.
"""

from __future__ import annotations

from crawler.engine.frontier.redis_functions import RUNS, Library
from crawler.engine.frontier.redis_shared_task import TASK

DRAWN_AT_ONCE = 256
"""The requests in one answer, at most."""
MOST_SHARDS = 64
"""The shards of a task, at most, the head included."""

_CODE = (
    f"""{RUNS}{TASK}
local MOST_SHARDS, STATE = {MOST_SHARDS}, 8
"""
    + """
-- An answer. What was drawn is read from where it stays until it is taken, unless it is there.
local function answer(task, shard, figures, drawn)
  local count, told = figures[1], figures[2]
  drawn = drawn or {}
  if #drawn < count then
    drawn = redis.call('LRANGE', task.prefix .. 'drawn:' .. shard, told - count, told - 1)
  end
  local head = {}
  for at = 3, #figures do head[#head + 1] = string.format('%.17g', figures[at]) end
  return {'DONE', now(), head, task.told, drawn}
end

-- The part of a list of arguments.
local function part(args, at, count)
  local found = {}
  for place = at, at + count - 1 do found[#found + 1] = args[place] end
  return found, at + count
end

-- epoch, token, number, ms to hold, shard, about, most to draw, taken, what is noted (without the
-- time), then the numbers of texts that are told, of marks, of sites let go and of offers; then
-- these, and the commands. A call that comes again is answered as it was.
local function exchange(keys, args)
  local number = tonumber(args[3])
  local refusal, last = fault(keys, args[1], args[2], number - 1)
  if refusal then return refusal end
  local task, shard, most, taken = task_of(keys), args[5], tonumber(args[7]), tonumber(args[8])
  if number <= last then
    hold(keys[HOLD], args[2], args[4])
    return answer(task, shard, cmsgpack.unpack(redis.call('HGET', keys[RUN], 'answer')))
  end
  local noted, at = part(args, 9, #NOTED - 1)
  local counts, tells, marks, sites
  counts, at = part(args, at, 4)
  tells, at = part(args, at, 2 * counts[1])
  marks, at = part(args, at, tonumber(counts[2]))
  sites, at = part(args, at, tonumber(counts[3]))
  local offers, past = tonumber(counts[4]), at + 4 * counts[4]
  local figures, new = {0, 0, 0, 0, 0, 0}, {}
  local drawn = task.prefix .. 'drawn:' .. shard
  if task.about ~= args[6] then -- its head has not begun the task yet
    if offers + #marks + taken > 0 then return {'LOST'} end
    task.told = {}
  else
    local found = redis.call('HMGET', keys[RUN], 'teller', 'told')
    local told = found[1] == args[2] and tonumber(found[2]) or 0
    taken = math.min(taken, told)
    if taken > 0 then redis.call('LTRIM', drawn, taken, -1) end
    told, task.moving = told - taken, task.moving - taken
    local time = now()
    note_shard(task, shard, noted, time)
    for place = 1, #tells, 2 do
      if redis.call('HSETNX', task.key, 't:' .. tells[place], tells[place + 1]) == 1 then
        task.told[#task.told + 1] = tells[place]
        task.told[#task.told + 1] = tells[place + 1]
      end
    end
    for _, mark in ipairs(marks) do learn(task, mark) end
    let_go(task, shard, sites)
    local known = 0
    for place = at, past - 1, 4 do
      if args[place] == '0' or learn(task, args[place]) then
        lay(task, args[place + 1], args[place + 2], args[place + 3])
      else
        known = known + 1
      end
    end
    line_up(task)
    note_end(task)
    local count = math.min(most, redis.call('LLEN', drawn) - told)
    if most > count then
      new = draw(task, shard, most - count, share_of(task, shard, time))
      count = count + #new
    end
    told = told + count
    figures = {
      count, told, known, spare_of(task, shard, time), left_of(task), task.over and 1 or 0
    }
    add_others(figures, task, shard)
    redis.call('HSET', keys[RUN], 'teller', args[2], 'told', told)
    save(task)
  end
  carry_out(keys, args, past)
  redis.call('HSET', keys[RUN], 'answer', cmsgpack.pack(figures))
  note(keys, args, number)
  return answer(task, shard, figures, new)
end

-- epoch, token, number, ms to hold, marks: these URLs are known.
local function know(keys, args)
  local number = tonumber(args[3])
  local refusal, last = fault(keys, args[1], args[2], number - 1)
  if refusal then return refusal end
  local task = task_of(keys)
  for at = 5, #args do learn(task, args[at]) end
  save(task)
  note(keys, args, math.max(number, last))
  return {'DONE', now()}
end

-- epoch, token, number, ms to hold, about, requests that the head holds, commands: the head begins
-- to share its task.
local function share(keys, args)
  local number = tonumber(args[3])
  local refusal, last = fault(keys, args[1], args[2], number - 1)
  if refusal then return refusal end
  if number > last then
    local task = task_of(keys)
    redis.call('HSET', task.key, 'about', args[5])
    redis.call('HSET', task.prefix .. 'owners', NO_SITE, LONG)
    note_shard(task, '0', {'0', args[6], '0', '0', '0', '0', '0', '0', '0'}, '0')
    carry_out(keys, args, 7)
  end
  note(keys, args, math.max(number, last))
  return {'DONE', now()}
end

-- shard, name of a text: what each other shard keeps under that name.
local function texts(keys, args)
  local task, found = task_of(keys), {}
  for shard in pairs(task.notes) do
    local text = shard ~= args[1] and redis.call('HGET', keys_of(task, shard)[STATE], args[2])
    if text then
      found[#found + 1] = shard
      found[#found + 1] = text
    end
  end
  return {'DONE', now(), found}
end

-- The seconds for which no run has held the state of a shard. One that was damaged, and put aside,
-- was held by none.
local function lapsed_s(keys)
  if redis.call('PTTL', keys[HOLD]) > 0 then return 0 end
  if redis.call('EXISTS', keys[RUN]) == 0 then return math.huge end
  local used = redis.call('HGET', keys[RUN], 'used_s')
  return used and now() - used or 0
end

-- shard, seconds: the other shards that nobody has run for so long, and that may hold something. A
-- head whose state is gone begins the task anew.
local function forsaken(keys, args)
  local task, found = task_of(keys), {}
  for shard, note in pairs(task.notes) do
    local holds = note.live ~= '2' or tonumber(note.left) > 0
    local lapsed = holds and shard ~= args[1] and lapsed_s(keys_of(task, shard)) or 0
    if lapsed >= tonumber(args[2]) and (shard ~= '0' or lapsed < math.huge) then
      found[#found + 1] = shard
    end
  end
  return {'DONE', now(), found}
end

-- token, ms to hold, seconds: take over the state of a shard that nobody has run for so long. It
-- keeps its epoch, so its next run is a later one.
local function take_over(keys, args)
  if lapsed_s(keys) < tonumber(args[3]) then return {'HELD', now()} end
  for _, name in ipairs({'epoch', 'number'}) do redis.call('HSETNX', keys[RUN], name, 0) end
  redis.call('HSET', keys[RUN], 'token', args[1], 'used_s', now())
  hold(keys[HOLD], args[1], args[2])
  return {'OPEN', now(), tonumber(redis.call('HGET', keys[RUN], 'epoch'))}
end

-- Removes what shards have as runs of their own, and lets a sweep of that name remove the rest.
local function dissolve(task, name)
  for shard = 1, MOST_SHARDS - 1 do forget(keys_of(task, shard)) end
  if redis.call('EXISTS', task.key) == 1 then
    redis.call('HDEL', task.key, 'about')
    redis.call('HSET', task.key, 'swept', name)
  end
end

-- epoch, token, name of the sweep, whether the state of this run stays: the head drops the task.
local function disband(keys, args)
  if redis.call('EXISTS', keys[RUN]) == 1 then
    local refusal = fault(keys, args[1], args[2])
    if refusal then return refusal end
  end
  dissolve(task_of(keys), args[3])
  if args[4] == '0' then forget(keys) end
  return {'DONE', now()}
end

-- name of the sweep, whether runs of other shards keep it from that: removes a task whose head
-- nobody runs.
local function remove_all(keys, args)
  local left_ms = redis.call('PTTL', keys[HOLD])
  if left_ms > 0 then return {'HELD', left_ms} end
  local task = task_of(keys)
  for shard = 1, args[2] == '1' and MOST_SHARDS - 1 or 0 do
    left_ms = redis.call('PTTL', keys_of(task, shard)[HOLD])
    if left_ms > 0 then return {'HELD', left_ms} end
  end
  dissolve(task, args[1])
  forget(keys)
  return {'DONE', now()}
end

-- name of the sweep, how many keys: removes a part of what the shards of a task shared. Tells
-- whether something is left.
local function sweep(keys, args)
  local task, left = task_of(keys), tonumber(args[2])
  if task.swept ~= args[1] or task.about then return {'DONE', now(), 0} end
  local lines = {task.prefix .. 'pool'}
  for shard in pairs(task.notes) do lines[#lines + 1] = task.prefix .. 'line:' .. shard end
  for _, line in ipairs(lines) do
    local site = left > 0 and redis.call('LPOP', line)
    while site do
      for _, rank in ipairs(ranks_of(task, site, 1000)) do
        local list = task.prefix .. 'site:' .. site
        redis.call('UNLINK', rank == '0' and list or list .. '\\t' .. rank)
        if rank ~= '0' then redis.call('ZREM', task.prefix .. 'ranks:' .. site, rank) end
        left = left - 1
      end
      if has_requests(task, site) then redis.call('RPUSH', line, site) end
      site = left > 0 and redis.call('LPOP', line)
    end
  end
  while left > 0 and task.buckets > 0 do
    task.buckets, left = task.buckets - 1, left - 1
    redis.call('UNLINK', task.prefix .. 'known:' .. task.buckets)
  end
  save(task)
  if left <= 0 then return {'DONE', now(), 1} end
  for shard in pairs(task.notes) do redis.call('UNLINK', task.prefix .. 'drawn:' .. shard) end
  redis.call('UNLINK', task.prefix .. 'owners', task.key)
  return {'DONE', now(), 0}
end
"""
)
_NAMES = (
    *("exchange", "know", "share", "texts", "forsaken", "take_over"),
    *("disband", "remove_all", "sweep"),
)
LIBRARY = Library.of("shards", _CODE, _NAMES, {"disband", "remove_all", "sweep"})
EXCHANGE, KNOW, SHARE, TEXTS, FORSAKEN, TAKE_OVER, DISBAND, REMOVE_ALL, SWEEP = LIBRARY.functions
CODE = LIBRARY.code
