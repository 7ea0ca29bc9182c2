"""What workers promise that share hosts: docs/guarantees.md."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_OWNER = "tests/unit/engine/test_host_owner.py"
_SHELF = "tests/contract/test_robots_shelf.py"
_REGISTER = "tests/contract/test_host_register.py"

MUTANTS = [
    Mutant(
        "a cluster that moves a slot is not told which hosts a call is about",
        "crawler/engine/politeness/redis_host_register.py",
        'keys = [f"{prefix}:tokens", *(f"{prefix}:h:{host}" for host in hosts)]',
        'keys = [f"{prefix}:tokens"]',
        "tests/contract/test_redis_kinds.py -k moves_a_slot",
    ),
    Mutant(
        "a worker sends to its hosts though its lease is over",
        "crawler/engine/politeness/host_owner.py",
        "return now_s < self._until_s and not tenure.is_ending",
        "return not tenure.is_ending",
        f"{_OWNER} -k paused_beyond",
    ),
    Mutant(
        "a worker sends until the very end of its lease",
        "crawler/engine/politeness/host_owner.py",
        "SAFE_SHARE = 0.8",
        "SAFE_SHARE = 1.5",
        f"{_OWNER} -k whatever_happens",
    ),
    Mutant(
        "a worker sends to a host that it gives back",
        "crawler/engine/politeness/host_owner.py",
        "return now_s < self._until_s and not tenure.is_ending",
        "return now_s < self._until_s",
        f"{_OWNER} -k always_has",
    ),
    Mutant(
        "a host goes back while a request to it is under way",
        "crawler/engine/politeness/hosts.py",
        "        if host.in_flight:\n            return None\n        rest =",
        "        rest =",
        f"{_OWNER} -k whatever_happens",
    ),
    Mutant(
        "a host that others want is never given back",
        "crawler/engine/politeness/host_owner.py",
        "            self._end(host)\n        self._collect_returns()\n        self._repeat",
        "            pass\n        self._collect_returns()\n        self._repeat",
        f"{_OWNER} -k take_turns",
    ),
    Mutant(
        "the next owner does not wait for the pause of the last one",
        "crawler/engine/politeness/hosts.py",
        "host.from_s, host.others_pause_s = now_s + grant.wait_s, 0.0",
        "host.others_pause_s = 0.0",
        f"{_OWNER} -k dead_worker",
    ),
    Mutant(
        "the next owner does not know when the last request was sent",
        "crawler/engine/politeness/hosts.py",
        "            host.take_over(told, now_s - grant.age_s)\n",
        "",
        f"{_OWNER} -k longer_pause",
    ),
    Mutant(
        "the next owner does not know that the host rests",
        "crawler/engine/politeness/hosts.py",
        'self.cooldowns.take_over(grant.host, told["rest"], grant.age_s)',
        "pass",
        f"{_OWNER} -k cooldown_goes",
    ),
    Mutant(
        "the pause of those that wait for a host does not count",
        "crawler/engine/politeness/host_owner.py",
        "                self._keeper.sought(want)\n",
        "",
        f"{_OWNER} -k those_that_wait",
    ),
    Mutant(
        "the hosts of a dead worker go to others at once",
        "crawler/engine/politeness/redis_host_functions.py",
        "if ends < now then\n      local wait",
        "if ends then\n      local wait",
        f"{_REGISTER} -k nobody_else and redis",
    ),
    Mutant(
        "the hosts of a dead worker go to others before the pause is over",
        "crawler/engine/politeness/redis_host_functions.py",
        "'free', ends + wait",
        "'free', ends",
        f"{_REGISTER} -k free_after_the_pause and redis",
    ),
    Mutant(
        "a grant whose answer was lost is never told again",
        "crawler/engine/politeness/redis_host_functions.py",
        "  if owner == token then return tell_again(prefix, token, host) end",
        "  if owner == token then return end",
        f"{_REGISTER} -k own_host and redis",
    ),
    Mutant(
        "a host stays with a worker that has left and does not know that it owns it",
        "crawler/engine/politeness/redis_host_functions.py",
        "  if redis.call('HGET', key, 'owner') == token then tell_again(prefix, token, host) end\n",
        "",
        f"{_REGISTER} -k who_has_left and redis",
    ),
    Mutant(
        "a Redis that was restarted grants hosts that others still have",
        "crawler/engine/politeness/redis_host_functions.py",
        "elseif now >= quiet then",
        "else",
        f"{_REGISTER} -k restarted",
    ),
    Mutant(
        "a Redis that has lost everything lets all workers keep what others may get",
        "crawler/engine/politeness/redis_host_functions.py",
        "    if args[4] == '1' then\n",
        "    if false then\n",
        f"{_REGISTER} -k lost_everything",
    ),
    Mutant(
        "a Redis that has lost everything grants at once what others still have",
        "crawler/engine/politeness/redis_host_functions.py",
        "      if now >= quiet then be_quiet(prefix, now, lease_ms) end\n",
        "",
        f"{_REGISTER} -k lost_everything",
    ),
    Mutant(
        "a Redis that was restarted takes an earlier owner of a host for the last one",
        "crawler/engine/politeness/redis_host_functions.py",
        "if has_forgotten or not owner or",
        "if not owner or",
        f"{_REGISTER} -k just_before_a_loss",
    ),
    Mutant(
        "a token that has ended is renewed",
        "crawler/engine/politeness/redis_host_functions.py",
        "if ends and tonumber(ends) < now then return {'ENDED'} end",
        "",
        f"{_REGISTER} -k free_after_the_pause and redis",
    ),
    Mutant(
        "each worker fetches robots.txt for itself",
        "crawler/engine/politeness/robots_shelf.py",
        "        if is_claimed or clock.monotonic() >= until_s:\n",
        "        if True:\n",
        f"{_SHELF} -k others_wait",
    ),
    Mutant(
        "an error of robots.txt holds for all workers",
        "crawler/engine/politeness/robots.py",
        "return None if answer is None or rules.trouble else _to_share(answer)",
        "return None if answer is None else _to_share(answer)",
        f"{_SHELF} -k trouble_is_not_shared",
    ),
    Mutant(
        "an owner says only once that it has a host",
        "crawler/engine/politeness/host_owner.py",
        "            if tenure is not None and tenure.told_s == told_s:\n",
        "            if False:\n",
        f"{_OWNER} -k again_and_again",
    ),
    Mutant(
        "each call looks at all hosts",
        "crawler/engine/politeness/host_owner.py",
        "holds=[Want(host, pause_s(host)) for host in self._holds]",
        "holds=[Want(host, pause_s(host)) for host in self._tenures]",
        f"{_OWNER} -k cost_nothing",
    ),
    Mutant(
        "a host that only the register believes to be here never goes back",
        "crawler/engine/politeness/host_owner.py",
        "                self._disown(want.host)\n",
        "                pass\n",
        f"{_OWNER} -k only_the_register",
    ),
]
