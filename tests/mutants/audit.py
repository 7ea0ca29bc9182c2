"""What the audit and the log have, and what a caller or a master could get round."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_TRAIL = "crawler/api/trail.py"
_AUDITED = "crawler/api/audited.py"
_SPARSE = "crawler/api/sparse.py"
_FILE = "crawler/audit_log.py"
_APP = "crawler/api/http/app.py"
_COMMANDS = "crawler/node/master/commands.py"
_LOGIN = "crawler/cli/login.py"
_KEPT = "crawler/cli/token_file.py"
_UNIT = "tests/unit/api/test_audit.py"
_FILES = "tests/unit/test_audit_log.py"
_BOUNDED = "tests/unit/api/test_bounded.py"
_DECISIONS = "tests/unit/node/test_decisions.py -k anothers_by_now"
_PEOPLE = "tests/unit/api/test_oidc_people.py"
_CALLS = "tests/unit/api/test_oidc_calls.py"
_TOKENS = "tests/integration/test_cli_token.py"

MUTANTS = [
    Mutant(
        "what is refused at the doors is no record",
        _TRAIL,
        "        self._refused.append(record)\n        self._log.write(record)\n",
        "        self._refused.append(record)\n",
        f"{_UNIT} -k at_the_doors",
    ),
    Mutant(
        "a failure is recorded as done",
        _TRAIL,
        "    if error is None:\n        return DONE\n",
        "    if error is None or error:\n        return DONE\n",
        f"{_UNIT} -k failure_is_recorded",
    ),
    Mutant(
        "a change that another master passed on is written twice",
        _TRAIL,
        "        if not caller.is_recorded:\n            self._log.write(record)",
        "        self._log.write(record)",
        f"{_UNIT} -k one_record_of_the_master",
    ),
    Mutant(
        "the leader forgets what others passed on",
        _TRAIL,
        "        self._records.append(record)\n        if not caller.is_recorded:\n"
        "            self._log.write(record)",
        "        if not caller.is_recorded:\n            self._records.append(record)\n"
        "            self._log.write(record)",
        f"{_UNIT} -k passed_on",
    ),
    Mutant(
        "each refusal of an address is written",
        _SPARSE,
        "if written < MOST_OF_ADDRESS and self._left > 0:",
        "if self._left > 0:",
        f"{_UNIT} -k flood_of_refusals",
    ),
    Mutant(
        "many addresses are refused without a bound",
        _SPARSE,
        "if written < MOST_OF_ADDRESS and self._left > 0:",
        "if written < MOST_OF_ADDRESS:",
        f"{_UNIT} -k many_addresses",
    ),
    Mutant(
        "the reason of a refused change shows its value",
        _TRAIL,
        '        return found[0] if found else ""\n',
        "        return str(error)\n",
        f"{_UNIT} -k failure_is_recorded",
    ),
    Mutant(
        "a change for which nobody leads is no record",
        _AUDITED,
        "        with self._noted(audit.TASK_DELETE, name):\n"
        "            self._find().delete(name, call)",
        "        backend = self._find()\n        with self._noted(audit.TASK_DELETE, name):\n"
        "            backend.delete(name, call)",
        f"{_UNIT} -k no_leader",
    ),
    Mutant(
        "an update tells the values that it changes",
        _AUDITED,
        '    return ", ".join(name for name in names if getattr(one, name) != getattr(other, '
        "name))",
        '    return ", ".join(str(getattr(one, name)) for name in names)',
        f"{_UNIT} -k one_record_of_the_master",
    ),
    Mutant(
        "a line of the audit is appended to one that was cut",
        _FILE,
        '            self._begun = b"\\n"',
        "            pass",
        _FILES,
    ),
    Mutant(
        "the rest of a line that a disk did not take is lost",
        _FILE,
        "            self._begun = self._begun[written:]",
        '            self._begun = b""',
        _FILES,
    ),
    Mutant(
        "a file of the audit that was moved away goes on",
        _FILE,
        "        opened = _opened(self._path)\n        if self._fd >= 0:",
        "        if self._fd >= 0:\n            return\n        opened = _opened(self._path)\n"
        "        if self._fd >= 0:",
        _FILES,
    ),
    Mutant(
        "lines of the audit wait without a bound",
        _FILE,
        "if len(self._lines) >= MOST_WAITING:",
        "if False:",
        _FILES,
    ),
    Mutant(
        "the text of a token comes into logs",
        "crawler/api/cleaning.py",
        '        text = _TOKEN.sub(r"\\1\\2…", text)\n',
        "        pass\n",
        f"{_UNIT} -k in_place_of_an_id",
    ),
    Mutant(
        "a path in the log has the token that it names",
        _APP,
        "path=clean(get_path_info(environ)),",
        "path=get_path_info(environ)[:200],",
        "tests/unit/api/test_app.py -k no_token_in_a_path",
    ),
    Mutant(
        "a bug in a request tells the token in its path",
        _APP,
        'clean(f"{request.method} {request.path}")',
        'f"{request.method} {request.path}"',
        "tests/unit/api/test_app.py -k no_token_in_a_path",
    ),
    Mutant(
        "each refused request is a line",
        _APP,
        "            quiet = not failures.allows()\n",
        "            failures.allows()\n",
        "tests/unit/api/test_app.py -k flood_of_refused",
    ),
    Mutant(
        "a flood of refused requests hides those that fail",
        _APP,
        "self._refused if status < 500 else self._failed",
        "self._refused",
        "tests/unit/api/test_app.py -k flood_of_refused",
    ),
    Mutant(
        "a whole token is no id",
        "crawler/coordination/token_secret.py",
        "    return text if parts is None else parts.id",
        "    return text",
        "tests/unit/api/test_app.py -k stands_for_its_id",
    ),
    Mutant(
        "a bounded update overwrites what is another's by now",
        _COMMANDS,
        "present = present_task(draft, self.spec.name, self.bounds)",
        "present = present_task(draft, self.spec.name, {})",
        _DECISIONS,
    ),
    Mutant(
        "a bounded delete takes what is another's by now",
        _COMMANDS,
        "        self.present(draft)\n        draft.delete",
        "        present_task(draft, self.name, {})\n        draft.delete",
        _DECISIONS,
    ),
    Mutant(
        "the leader does not tell its commands who is bounded",
        "crawler/api/backend.py",
        "        return self.caller.labels if self.caller else {}",
        "        return {}",
        "tests/integration/test_doors.py -k became_anothers",
    ),
    Mutant(
        "the way to the commit loses the caller",
        "crawler/node/master/backend.py",
        "replace(call, timeout_s=max(0.0, until_s - clock.monotonic()))",
        "Call(max(0.0, until_s - clock.monotonic()), call.forwarded)",
        "tests/integration/test_doors.py -k became_anothers",
    ),
    Mutant(
        "a bounded caller looks into a node",
        "crawler/api/doors.py",
        "    if caller.labels and need is Need.DEBUG:",
        "    if False:",
        f"{_BOUNDED} -k looks_into",
    ),
    Mutant(
        "a crawl is judged by who has its name now",
        "crawler/node/worker/assignments.py",
        "found is None or found.id != id",
        "found is None",
        "tests/integration/test_doors.py -k earlier_task",
    ),
    Mutant(
        "a bounded caller gets the crawls of a name unjudged",
        "crawler/engine/stats/ended.py",
        "if found.task in names and owns(found)]",
        "if found.task in names]",
        f"{_BOUNDED} -k earlier_task",
    ),
    Mutant(
        "a login knows no TLS",
        _LOGIN,
        "@STRANGER\n",
        "@ADDRESS\n",
        f"{_CALLS} -k over_tls",
    ),
    Mutant(
        "a login goes where a master sends it unasked",
        _LOGIN,
        "    elif not is_agreed:\n",
        "    elif False:\n",
        f"{_CALLS} -k sees_where",
    ),
    Mutant(
        "a login is made for a client of other masters unasked",
        _LOGIN,
        "    if others := sorted(same - own):",
        "    if others := []:",
        f"{_CALLS} -k known_cluster_unasked",
    ),
    Mutant(
        "a login that another program got counts",
        "crawler/api/oidc/people.py",
        '        if claims["azp"] != self._settings.oidc_client:',
        "        if False:",
        _PEOPLE,
    ),
    Mutant(
        "a provider leads away from TLS",
        "crawler/api/oidc/provider.py",
        'if req.type == "https" and not newurl',
        "if False and not newurl",
        f"{_CALLS} -k away_from_tls",
    ),
    Mutant(
        "a master is shown the token of another one",
        "crawler/cli/master.py",
        "token_for(asked) if is_shown",
        "next(filter(None, map(token_for, context.meta[MASTERS])), '') if is_shown",
        f"{_TOKENS} -k its_own_token",
    ),
    Mutant(
        "a login is renewed for one of its masters alone",
        _KEPT,
        "{each: new if found[each] == old else found[each] for each in found}",
        "{**found, next(each for each in found if found[each] == old): new}",
        f"{_CALLS} -k renewed_for_all",
    ),
    Mutant(
        "a file of tokens that others write is believed",
        _KEPT,
        "    if mode & ~OWNERS:\n",
        "    if False:\n",
        f"{_TOKENS} -k not_believed",
    ),
    Mutant(
        "a file of tokens that is broken is overwritten",
        _KEPT,
        "    if not isinstance(found, dict):\n        raise",
        "    if not isinstance(found, dict):\n        return {}\n        raise",
        f"{_TOKENS} -k left_as_it_is",
    ),
]
