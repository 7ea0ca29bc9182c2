"""What the shards of one task share in Redis, and the code that knows how it lies there.

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
- `owners`, a hash: the shard that serves a site. One field that is no site, `NO_SITE`, is so long
  that Redis keeps no list of the others, which it would read from its beginning each time.
- `pool`, and `line:<shard>`, lists: the sites that no shard serves, or that one serves, of which
  requests lie there. A site may be in a line in which it has nothing to do; who finds it there
  drops it.
- `drawn:<shard>`, a list: what a shard has drawn, until a step says that the shard holds it.
"""

from __future__ import annotations

MOST_BYTES = 262_144
"""With so many bytes, an answer takes no more."""
AT_ONCE = 32
"""So many requests of a site are drawn before the next site has its turn."""
SITES_AT_ONCE = 32
"""So many sites of a line are looked at with one command."""
NO_SITE = "\t"
_LONG = 65 * "-"
"""Redis keeps no list of a hash that has a text longer than 64 bytes."""
MEAN = 215
"""The marks in a set on average, at most. The largest has twice as many, and a few by chance: one
of 20,000 gets more than 512 before it is divided."""
LIVE_S = 5.0
"""A shard that has told nothing for so long is not reckoned with when sites are given out."""
MOST_SPARE = 64
"""So many sites are given back at once, at most."""

TASK = (
    f"""
local SHARED, MEAN, AT_ONCE, MOST_BYTES = 9, {MEAN}, {AT_ONCE}, {MOST_BYTES}
local NO_SITE, LONG = '\\t', '{_LONG}'
local SITES_AT_ONCE, MOST_LOOKS, LIVE_S, MOST_SPARE = {SITES_AT_ONCE}, 1024, {LIVE_S}, {MOST_SPARE}
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
  local task = {key = key, prefix = string.sub(key, 1, -7), notes = {}, told = {}, woken = {}}
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

-- Carries a command out with many arguments.
local function call_all(command, key, all)
  for at = 1, #all, 1000 do
    redis.call(command, key, unpack(all, at, math.min(at + 999, #all)))
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
  call_all('SADD', key, stays)
  call_all('SADD', task.prefix .. 'known:' .. to, goes)
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

-- The shards that serve sites, in their order; false for none. One command for many sites: each
-- costs Redis more than what it does here.
local function owners_of(task, sites)
  local owners = {}
  for at = 1, #sites, 1000 do
    local last = math.min(at + 999, #sites)
    local found = redis.call('HMGET', task.prefix .. 'owners', unpack(sites, at, last))
    for place = 1, #found do owners[#owners + 1] = found[place] end
  end
  return owners
end

-- Puts the sites into their lines of which requests lie there since this call.
local function line_up(task)
  local lines = {}
  for at, owner in ipairs(owners_of(task, task.woken)) do
    local line = task.prefix .. (owner and 'line:' .. owner or 'pool')
    lines[line] = lines[line] or {}
    lines[line][#lines[line] + 1] = task.woken[at]
  end
  for line, sites in pairs(lines) do call_all('RPUSH', line, sites) end
  task.woken = {}
end

-- Lays a request where its site belongs. `line_up` must follow.
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
  if redis.call('RPUSH', list, entry) == 1 then task.woken[#task.woken + 1] = site end
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

-- A line of which sites are taken from the beginning: those of a shard, or without one (false).
local function opened(key, owner) return {key = key, owner = owner, at = 0, sites = {}} end

-- The next site of a line that has something to do there: that is served by that shard, or by none.
local function next_of(task, line, drawn, most)
  while true do
    if line.at == #line.sites then
      local count = math.min(SITES_AT_ONCE, most, drawn.looks)
      line.at, line.sites = 0, count > 0 and redis.call('LPOP', line.key, count) or {}
      if #line.sites == 0 then return nil end
      line.owners = owners_of(task, line.sites)
      drawn.looks = drawn.looks - #line.sites
    end
    line.at = line.at + 1
    local site = line.sites[line.at]
    if line.owners[line.at] == line.owner and not (drawn.new[site] and not line.owner) then
      return site
    end
  end
end

-- Puts the sites back that were not looked at.
local function close(line)
  local left = {}
  for at = #line.sites, line.at + 1, -1 do left[#left + 1] = line.sites[at] end
  call_all('LPUSH', line.key, left)
end

-- Draws for a shard: of the sites that it serves, and in turn of new ones, as many as it may have.
local function draw(task, shard, most, sites)
  local drawn = {room = most, bytes = 0, looks = MOST_LOOKS, new = {}}
  local own = opened(task.prefix .. 'line:' .. shard, shard)
  local pool = opened(task.prefix .. 'pool', false)
  local goes_on = true
  while goes_on do
    goes_on = false
    for _, line in ipairs({own, pool}) do
      local is_full = drawn.room == 0 or drawn.bytes >= MOST_BYTES
      if not is_full and (line == own or sites > 0) then
        local site = next_of(task, line, drawn, line == own and drawn.room or sites)
        if site then
          goes_on = true
          if line == pool then
            redis.call('HSET', task.prefix .. 'owners', site, shard)
            drawn.new[site], sites = true, sites - 1
          end
          if draw_of(task, site, drawn) then redis.call('RPUSH', own.key, site) end
        end
      end
    end
  end
  close(own)
  close(pool)
  if #drawn > 0 then redis.call('RPUSH', task.prefix .. 'drawn:' .. shard, unpack(drawn)) end
  return drawn
end

local function let_go(task, shard, sites)
  local free, waiting = {}, {}
  for at, owner in ipairs(owners_of(task, sites)) do
    if owner == shard then
      free[#free + 1] = sites[at]
      if has_requests(task, sites[at]) then waiting[#waiting + 1] = sites[at] end
    end
  end
  call_all('HDEL', task.prefix .. 'owners', free)
  call_all('RPUSH', task.prefix .. 'pool', waiting)
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
"""
)
"""The code of what a task shares, for the functions of its shards."""
