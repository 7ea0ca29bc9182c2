"""The functions inside Redis for the shards of one task. Each is one step, like those of one run.

All keys of a task lie in one slot, so a function may use those of which it knows the shard, the
site or the number. Besides what each shard has as a run of its own (`redis_functions.py`), these
lie there:

- `shared`, a hash: `about` (what the task is about), `buckets` and `known` (of the URLs that are
  known), `moving` (how many requests no shard holds), `ranked` (whether any has a priority),
  `over`, `s:<shard>` (what a shard has told last), `t:<name>` (texts for all).
- `known:<number>`, sets of marks. Their number grows by linear hashing (Litwin 1980): when they
  hold more than `MEAN` each on average, one of them is divided. A set of at most 512 numbers is an
  array for Redis; the largest here has about twice `MEAN`.
- `site:<site>`, a list: the requests of a site that no shard has drawn; those that have a priority
  lie in `site:<site>\t<priority>`, and `ranks:<site>` tells which there are.
- `owners`, a hash: the shard that serves a site.
- `pool`, and `line:<shard>`, lists: the sites that no shard serves, or that one serves, of which
  requests lie there. A site may be in a line in which it has nothing to do; who finds it there
  drops it.
- `drawn:<shard>`, a list: what a shard has drawn, until a step says that the shard holds it.
"""

from __future__ import annotations

from crawler.engine.frontier.redis_functions import RUNS, Library

DRAWN_AT_ONCE = 256
"""The requests in one answer, at most."""
MOST_BYTES = 262_144
"""With so many bytes, an answer takes no more."""
AT_ONCE = 32
"""So many requests of a site are drawn before the next site has its turn."""
MEAN = 200
"""The marks in a set on average, at most. The largest has twice as many, and a few by chance."""
LIVE_S = 5.0
"""A shard that has told nothing for so long is not reckoned with when sites are given out."""
MOST_SPARE = 64
"""So many sites are given back at once, at most."""
MOST_SHARDS = 64
"""The shards of a task, at most, the head included."""

_CODE = (
    f"""{RUNS}
local SHARED, MEAN, AT_ONCE, MOST_BYTES = 9, {MEAN}, {AT_ONCE}, {MOST_BYTES}
local MOST_LOOKS, LIVE_S, MOST_SPARE, MOST_SHARDS = 1024, {LIVE_S}, {MOST_SPARE}, {MOST_SHARDS}
"""
    + """
local NOTED = {
  'live', 'left', 'sites', 'wants', 'start', 'pages', 'items', 'failures', 'seconds', 'at'
}

local function split_text(text)
  local parts = {}
  for part in string.gmatch(text, '%S+') do parts[#parts + 1] = part end
  return parts
end

local function note_of(text)
  local note = {}
  for at, part in ipairs(split_text(text)) do note[NOTED[at]] = part end
  return note
end

-- What the shards of a task have in common.
local function task_of(keys)
  local key = keys[SHARED]
  local task = {key = key, prefix = string.sub(key, 1, -7), notes = {}, told = {}}
  local found = redis.call('HGETALL', key)
  for at = 1, #found, 2 do
    local kind, rest = string.match(found[at], '^(%l):(.*)$')
    if kind == 's' then
      task.notes[rest] = note_of(found[at + 1])
    elseif kind == 't' then
      task.told[#task.told + 1] = rest
      task.told[#task.told + 1] = found[at + 1]
    else
      task[found[at]] = found[at + 1]
    end
  end
  task.buckets = tonumber(task.buckets or 1)
  task.known = tonumber(task.known or 0)
  task.moving = tonumber(task.moving or 0)
  task.half = 1
  while 2 * task.half <= task.buckets do task.half = 2 * task.half end
  return task
end

local function save(task)
  redis.call(
    'HSET', task.key, 'buckets', task.buckets, 'known', task.known, 'moving', task.moving
  )
end

-- The keys of a shard as a run of its own.
local function keys_of(task, shard)
  local prefix = tonumber(shard) == 0 and task.prefix or task.prefix .. shard .. ':'
  local keys = {}
  for at, name in ipairs({'run', 'hold', 'seen', 'starts', 'rows', 'live', 'later', 'state'}) do
    keys[at] = prefix .. name
  end
  return keys
end

-- The known URLs. A mark is a text of a signed number of 64 bits. As a number of Lua it loses its
-- low bits, always the same ones.

local function hashed(mark) return math.floor(tonumber(mark) / 4096) % 4294967296 end

local function add_all(key, marks)
  for at = 1, #marks, 1000 do
    redis.call('SADD', key, unpack(marks, at, math.min(at + 999, #marks)))
  end
end

local function divide(task)
  local from, to = task.buckets - task.half, task.buckets
  local key, stays, goes = task.prefix .. 'known:' .. from, {}, {}
  for _, mark in ipairs(redis.call('SMEMBERS', key)) do
    local into = hashed(mark) % (2 * task.half) == from and stays or goes
    into[#into + 1] = mark
  end
  redis.call('DEL', key)
  add_all(key, stays)
  add_all(task.prefix .. 'known:' .. to, goes)
  task.buckets = to + 1
  if task.buckets == 2 * task.half then task.half = task.buckets end
end

-- Notes a mark as known. Returns whether it is new.
local function learn(task, mark)
  local hash = hashed(mark)
  local at = hash % (2 * task.half)
  if at >= task.buckets then at = at - task.half end
  if redis.call('SADD', task.prefix .. 'known:' .. at, mark) == 0 then return false end
  task.known = task.known + 1
  if task.known > MEAN * task.buckets then divide(task) end
  return true
end

-- The requests that no shard holds.

local function line_up(task, site)
  local owner = redis.call('HGET', task.prefix .. 'owners', site)
  redis.call('RPUSH', owner and task.prefix .. 'line:' .. owner or task.prefix .. 'pool', site)
end

-- Lays a request where its site belongs.
local function lay(task, site, priority, entry)
  local list = task.prefix .. 'site:' .. site
  if priority ~= '0' then
    list = list .. '\\t' .. priority
    redis.call('ZADD', task.prefix .. 'ranks:' .. site, priority, priority)
    if not task.ranked then
      task.ranked = '1'
      redis.call('HSET', task.key, 'ranked', '1')
    end
  end
  if redis.call('RPUSH', list, entry) == 1 then line_up(task, site) end
  task.moving = task.moving + 1
end

-- The priorities of the requests of a site, the highest first.
local function ranks_of(task, site, most)
  if not task.ranked then return {'0'} end
  local ranks, is_in = {}, false
  for _, rank in ipairs(redis.call('ZREVRANGE', task.prefix .. 'ranks:' .. site, 0, most - 1)) do
    if not is_in and tonumber(rank) < 0 then
      is_in = true
      ranks[#ranks + 1] = '0'
    end
    ranks[#ranks + 1] = rank
  end
  if not is_in then ranks[#ranks + 1] = '0' end
  return ranks
end

local function has_requests(task, site)
  local list = task.prefix .. 'site:' .. site
  if task.ranked and redis.call('EXISTS', task.prefix .. 'ranks:' .. site) == 1 then return true end
  return redis.call('EXISTS', list) == 1
end

-- Draws some requests of a site. Returns whether any is left.
local function draw_of(task, site, drawn)
  local most = math.min(AT_ONCE, drawn.room)
  for _, rank in ipairs(ranks_of(task, site, most)) do
    local list = task.prefix .. 'site:' .. site
    if rank ~= '0' then list = list .. '\\t' .. rank end
    local entries = redis.call('LPOP', list, most) or {}
    for _, entry in ipairs(entries) do
      drawn[#drawn + 1] = rank .. '\\t' .. site .. '\\t' .. entry
      drawn.bytes = drawn.bytes + #entry
    end
    most, drawn.room = most - #entries, drawn.room - #entries
    if most == 0 then return has_requests(task, site) end
    if rank ~= '0' then redis.call('ZREM', task.prefix .. 'ranks:' .. site, rank) end
  end
  return task.ranked and has_requests(task, site)
end

-- The next site of a line that has something to do there: that is served by that shard, or by none.
local function next_of(task, line, owner, drawn)
  while drawn.looks > 0 do
    drawn.looks = drawn.looks - 1
    local site = redis.call('LPOP', line)
    if not site then return nil end
    if redis.call('HGET', task.prefix .. 'owners', site) == owner then return site end
  end
end

-- Draws for a shard: of the sites that it serves, and in turn of new ones, as many as it may have.
local function draw(task, shard, most, sites)
  local drawn = {room = most, bytes = 0, looks = MOST_LOOKS}
  local line, pool = task.prefix .. 'line:' .. shard, task.prefix .. 'pool'
  local goes_on = true
  while goes_on do
    goes_on = false
    for _, is_new in ipairs({false, true}) do
      local is_full = drawn.room == 0 or drawn.bytes >= MOST_BYTES
      if not is_full and (not is_new or sites > 0) then
        local site = next_of(task, is_new and pool or line, not is_new and shard, drawn)
        if site then
          goes_on = true
          if is_new then
            redis.call('HSET', task.prefix .. 'owners', site, shard)
            sites = sites - 1
          end
          if draw_of(task, site, drawn) then redis.call('RPUSH', line, site) end
        end
      end
    end
  end
  if #drawn > 0 then redis.call('RPUSH', task.prefix .. 'drawn:' .. shard, unpack(drawn)) end
  return drawn
end

local function let_go(task, shard, site)
  if redis.call('HGET', task.prefix .. 'owners', site) ~= shard then return end
  redis.call('HDEL', task.prefix .. 'owners', site)
  if has_requests(task, site) then redis.call('RPUSH', task.prefix .. 'pool', site) end
end

-- What the shards have told of themselves.

local function is_live(note, at) return note.live == '1' and at - note.at < LIVE_S end

-- How many sites of the pool a shard may have: not more than a fair share of them all, if others
-- want some, too.
local function share_of(task, shard, at)
  local mine = task.notes[shard]
  local wants, want, sites = tonumber(mine.wants), 0, redis.call('LLEN', task.prefix .. 'pool')
  if wants == 0 then return 0 end
  for _, note in pairs(task.notes) do
    if is_live(note, at) and note.wants ~= '0' then want, sites = want + 1, sites + note.sites end
  end
  return math.max(0, math.min(wants, math.ceil(sites / want) - mine.sites))
end

-- How many sites a shard is to give back, if the pool is empty: half of what it has more than each
-- other that wants some. All give a part of what one wants.
local function spare_of(task, shard, at)
  local mine, live, spare = tonumber(task.notes[shard].sites), 0, 0
  if mine < 2 or redis.call('EXISTS', task.prefix .. 'pool') == 1 then return 0 end
  for _, note in pairs(task.notes) do live = live + (is_live(note, at) and 1 or 0) end
  for other, note in pairs(task.notes) do
    if other ~= shard and is_live(note, at) then
      local wanted = math.ceil(note.wants / (live - 1))
      spare = spare + math.max(0, math.min(wanted, math.floor((mine - spare - note.sites) / 2)))
    end
  end
  return math.min(MOST_SPARE, spare)
end

-- How many requests have no end. A shard whose state was damaged, and put aside, holds none.
local function left_of(task)
  local left = task.moving
  for shard, note in pairs(task.notes) do
    if note.left ~= '0' and redis.call('EXISTS', keys_of(task, shard)[RUN]) == 1 then
      left = left + note.left
    end
  end
  return left
end

local function note_end(task)
  if task.over or left_of(task) > 0 then return end
  for _, note in pairs(task.notes) do
    if note.start == '1' then
      task.over = '1'
      redis.call('HSET', task.key, 'over', '1')
    end
  end
end

-- Notes what a shard has told. What is empty stays as it was.
local function note_shard(task, shard, told, at)
  local before, note, texts = task.notes[shard] or {}, {}, {}
  for place, name in ipairs(NOTED) do
    note[name] = told[place] ~= '' and told[place] or before[name] or '0'
    texts[place] = note[name]
  end
  note.at = before.at or '0'
  if told[1] == '1' then note.at = at end
  texts[#NOTED] = note.at
  task.notes[shard] = note
  redis.call('HSET', task.key, 's:' .. shard, table.concat(texts, ' '))
end

-- Adds what the other shards have counted: for each its number and its counts.
local function add_others(figures, task, shard)
  for other, note in pairs(task.notes) do
    if other ~= shard then
      figures[#figures + 1] = tonumber(other)
      for at = 6, 9 do figures[#figures + 1] = tonumber(note[NOTED[at]]) end
    end
  end
end

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
    for _, site in ipairs(sites) do let_go(task, shard, site) end
    local known = 0
    for place = at, past - 1, 4 do
      if args[place] == '0' or learn(task, args[place]) then
        lay(task, args[place + 1], args[place + 2], args[place + 3])
      else
        known = known + 1
      end
    end
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
    note_shard(task, '0', {'0', args[6], '0', '0', '0', '0', '0', '0', '0'}, '0')
    carry_out(keys, args, 7)
  end
  note(keys, args, math.max(number, last))
  return {'DONE', now()}
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
    *("exchange", "know", "share", "forsaken", "take_over"),
    *("disband", "remove_all", "sweep"),
)
LIBRARY = Library.of("shards", _CODE, _NAMES, {"disband", "remove_all", "sweep"})
EXCHANGE, KNOW, SHARE, FORSAKEN, TAKE_OVER, DISBAND, REMOVE_ALL, SWEEP = LIBRARY.functions
CODE = LIBRARY.code
