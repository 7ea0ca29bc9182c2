"""What the shards of one task promise each other in Redis: docs/decisions/0023."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_CONTRACT = "tests/contract/test_shared_store.py"
_SHARDS = "tests/contract/test_redis_shards.py"
_STATES = "tests/contract/test_shared_states.py"
_FUNCTIONS = "crawler/engine/frontier/redis_shared_functions.py"
_TASK = "crawler/engine/frontier/redis_shared_task.py"
_STORE = "crawler/engine/frontier/redis_shared_store.py"

MUTANTS = [
    Mutant(
        "what a shard wrote after its last step counts beside what others do again",
        _STORE,
        "                self._gives_away(self, found)\n",
        "",
        f"{_STATES} -k after_its_last_step",
    ),
    Mutant(
        "shards of a task that could not be written begin anew",
        "crawler/node/run/shared_states.py",
        "        if not resource.resumes:\n",
        "        if True:\n",
        "tests/contract/test_shared_states.py -k could_not_be_written_goes_on",
    ),
    Mutant(
        "shards go on with a crawl that failed to its end",
        "crawler/node/run/shared_states.py",
        "        if has_ended and not even_if_ended:\n",
        "        if False:\n",
        "tests/contract/test_shared_states.py -k failed_to_its_end",
    ),
    Mutant(
        "what a shard has drawn stays there for ever if its state is damaged",
        _FUNCTIONS,
        "== 0 then return math.huge end",
        "== 0 then return 0 end",
        f"{_SHARDS} -k though_its_state_is_damaged",
    ),
    Mutant(
        "a shard that others have taken over goes on changing what all share",
        _FUNCTIONS,
        "  redis.call('HSET', keys[RUN], 'token', args[1], 'used_s', now())\n",
        "",
        f"{_CONTRACT} -k without_a_run_holds",
    ),
    Mutant(
        "an exchange whose answer was lost is carried out twice",
        _FUNCTIONS,
        "  if number <= last then\n    hold(",
        "  if false then\n    hold(",
        f"{_SHARDS} -k answer_was_lost",
    ),
    Mutant(
        "what was drawn is dropped before a step holds it",
        _FUNCTIONS,
        "redis.call('LTRIM', drawn, taken, -1)",
        "redis.call('LTRIM', drawn, told, -1)",
        f"{_CONTRACT} -k comes_again_in_the_next_run",
    ),
    Mutant(
        "what was drawn is told once, whether a step holds it or not",
        _FUNCTIONS,
        "found[1] == args[2] and tonumber(found[2]) or 0",
        "tonumber(found[2] or 0)",
        f"{_CONTRACT} -k comes_again_in_the_next_run",
    ),
    Mutant(
        "a task is over while requests lie in the pool or in a line",
        _TASK,
        "  local left = task.moving\n",
        "  local left = 0\n",
        f"{_CONTRACT} -k over_when_nothing_is_left",
    ),
    Mutant(
        "a task is over before its start was read",
        _TASK,
        "if note.start == '1' then",
        "if note.start then",
        f"{_CONTRACT} -k over_when_nothing_is_left",
    ),
    Mutant(
        "a URL is taken from each shard that offers it",
        _FUNCTIONS,
        "if args[place] == '0' or learn(task, args[place]) then",
        "if args[place] == '0' or learn(task, args[place]) or true then",
        f"{_CONTRACT} -k whoever_offers_it",
    ),
    Mutant(
        "known URLs are forgotten when a set of them is divided",
        _TASK,
        "  call_all('SADD', task.prefix .. 'known:' .. to, goes)\n",
        "",
        f"{_SHARDS} -k small_sets_of_numbers",
    ),
    Mutant(
        "sets of known URLs grow beyond what Redis packs",
        _TASK,
        "if task.known > MEAN * task.buckets then divide(task) end",
        "",
        f"{_SHARDS} -k small_sets_of_numbers",
    ),
    Mutant(
        "a site is served by each shard that asks for sites",
        _TASK,
        "            redis.call('HSET', task.prefix .. 'owners', site, shard)\n",
        "",
        f"{_CONTRACT} -k goes_to_the_shard_that_serves_it",
    ),
    Mutant(
        "what lies in the line of a shard is lost when it lets go of the site",
        _TASK,
        "  call_all('RPUSH', task.prefix .. 'pool', waiting)\n",
        "",
        f"{_CONTRACT} -k of_a_site_that_was_let_go",
    ),
    Mutant(
        "sites at which a shard has looked in the pool, and that it did not draw, are lost",
        _TASK,
        "  close(pool)\n",
        "",
        f"{_SHARDS} -k looked_at",
    ),
    Mutant(
        "a large site is drawn whole before others have their turn",
        _TASK,
        "local most = math.min(AT_ONCE, drawn.room)",
        "local most = drawn.room",
        f"{_SHARDS} -k small_sites_do_not_wait",
    ),
    Mutant(
        "requests of a low priority are drawn first",
        _TASK,
        "'ZREVRANGE'",
        "'ZRANGE'",
        f"{_SHARDS} -k higher_priority",
    ),
    Mutant(
        "a page that is offered in any case is there twice if its step did not come",
        _STORE,
        "return [each for each in offers if each.mark], [each for each in offers if not each.mark]",
        "return offers, ()",
        f"{_SHARDS} -k ahead_of_a_very_large_step",
    ),
    Mutant(
        "a task that ran alone forgets what it knew when several workers run it",
        _STORE,
        '            self._shared.know(array("q", part))\n',
        "            pass\n",
        f"{_STATES} -k ran_alone",
    ),
    Mutant(
        "a head that begins anew leaves the shards what they had",
        _FUNCTIONS,
        "for shard = 1, MOST_SHARDS - 1 do forget(keys_of(task, shard)) end",
        "",
        f"{_STATES} -k drops_what_all_shards_have",
    ),
    Mutant(
        "a shard takes part in a task that its head runs with other arguments",
        _FUNCTIONS,
        "if task.about ~= args[6] then",
        "if not task.about then",
        f"{_STATES} -k other_arguments_than_its_head",
    ),
    Mutant(
        "half a step that a loss of power left in the log of Redis comes back",
        "crawler/engine/frontier/redis_server.py",
        "            if has_restarted:\n",
        "            if False:\n",
        f"{_SHARDS} -k half_a_step",
    ),
    Mutant(
        "Redis keeps a log with a gap after its disk was full",
        "crawler/engine/frontier/redis_server.py",
        "                self._was_full |= isinstance(fault, WritesNothing)\n",
        "",
        "tests/faults/test_full_disk.py -k writes_its_log_anew",
    ),
]
