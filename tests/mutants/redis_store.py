"""What a store in Redis promises: docs/crawling-on.md."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_STORE = "tests/contract/test_redis_store.py"
_TROUBLE = "tests/contract/test_redis_trouble.py"
_FUNCTIONS = "crawler/engine/frontier/redis_functions.py"

MUTANTS = [
    Mutant(
        "Redis forgets which run of a task was the last one when the task is over",
        _FUNCTIONS,
        "    redis.call('HSET', keys[RUN], 'epoch', found[1], 'token', found[2], 'gone', 1)\n",
        "",
        "tests/integration/test_going_on_in_redis.py -k begin_it_anew",
    ),
    Mutant(
        "each worker looks through all states each hour",
        "crawler/engine/frontier/redis_states.py",
        "        return told is not None\n",
        "        return True\n",
        "tests/contract/test_shared_states.py -k only_one_worker",
    ),
    Mutant(
        "a run does not notice that Redis has lost the end of its log",
        _FUNCTIONS,
        "(taken and number < tonumber(taken))",
        "false",
        f"{_TROUBLE} -k loses_its_end_in_a_crawl",
    ),
    Mutant(
        "a step whose answer was lost is carried out twice",
        _FUNCTIONS,
        "local at = number > last and 5 or #args + 1",
        "local at = 5",
        f"{_STORE} -k answer_was_lost",
    ),
    Mutant(
        "a run that was replaced goes on changing what Redis has",
        _FUNCTIONS,
        "  if last > tonumber(epoch) or found[2] ~= token then return {'STALE', last} end\n",
        "",
        f"{_STORE} -k later_one_has_replaced",
    ),
    Mutant(
        "a run does not wait for the end of the one before",
        _FUNCTIONS,
        "if left_ms > 0 and args[5] == '0' and not is_own then",
        "if false then",
        f"{_STORE} -k orderly_end",
    ),
    Mutant(
        "an idle run lets go of what it holds",
        "crawler/engine/frontier/redis_store.py",
        '        self._supervisor.spawn("beat", self._keep_beating)\n',
        "",
        f"{_STORE} -k without_news",
    ),
    Mutant(
        "rows in Redis of which little is left stay as large as they were",
        "crawler/engine/frontier/redis_requests.py",
        "if row.is_sparse:",
        "if False:",
        f"{_STORE} -k little_is_left",
    ),
    Mutant(
        "a full Redis refuses a part of a step",
        _FUNCTIONS,
        '_MAY_WHEN_FULL = {"clear", "remove", "put_aside"}',
        '_MAY_WHEN_FULL = {"clear", "remove", "put_aside", "write"}',
        f"{_TROUBLE} -k refuses_the_step_whole",
    ),
    Mutant(
        "nothing can be removed from a full Redis",
        _FUNCTIONS,
        '_MAY_WHEN_FULL = {"clear", "remove", "put_aside"}',
        '_MAY_WHEN_FULL = {"clear", "put_aside"}',
        f"{_TROUBLE} -k can_be_removed",
    ),
]
