"""What keeps an alert from being told twice, or never."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_ALERTING = "crawler/node/master/alerting.py"
_CHANGES = "crawler/alerts/changes.py"
_LOOKING = "crawler/node/master/looking.py"
_LEADERLESS = "crawler/node/master/leaderless.py"
_SENDING = "crawler/alerts/sending.py"
_UNIT = "tests/unit/node/test_alerting.py"
_PURE = "tests/unit/alerts/test_changes.py"
_REAL = "tests/contract/test_alert_channels.py"

MUTANTS = [
    Mutant(
        "an end is forgotten when the task is begun once more",
        "crawler/node/master/mirrors.py",
        "            self.begun_again.append(before)",
        "            pass",
        f"{_UNIT} -k begun_again_before_anybody",
    ),
    Mutant(
        "an end that could not be stored is forgotten",
        _ALERTING,
        "                ended.extendleft(reversed(ends.values()))\n",
        "",
        f"{_UNIT} -k cannot_be_stored_at_first",
    ),
    Mutant(
        "a later alert hides the one before of which nobody was told",
        _CHANGES,
        "    if known is None or not known.owed or known.when not in AT_END:",
        "    if True:",
        f"{_UNIT} -k between_two_looks",
    ),
    Mutant(
        "an earlier run is told again after a later one",
        _CHANGES,
        "    if known is not None and _is_earlier(finding.mark, known.mark):",
        "    if False:",
        f"{_PURE} -k earlier_run",
    ),
    Mutant(
        "a new leader judges every end anew",
        _ALERTING,
        "        return now if is_first or mark > now else mark",
        "        return now",
        f"{_UNIT} -k neither_repeats",
    ),
    Mutant(
        "a new rule judges what ended long ago",
        _ALERTING,
        "        is_first = self._was_idle or not mark",
        "        is_first = False",
        f"{_UNIT} -k before_there_were_rules",
    ),
    Mutant(
        "that a channel was told is not stored",
        _ALERTING,
        "            self._alerts.put(self._ctx.leadership, present.told(channel))",
        "            pass",
        f"{_UNIT} -k told_to_each_channel_once",
    ),
    Mutant(
        "the mark moves beyond an end that was not judged",
        _LOOKING,
        "        return min(max(judged), min(missed) - 1) if missed else max(judged)",
        "        return max(judged + missed)",
        f"{_UNIT} -k fewer_items",
    ),
    Mutant(
        "what was told is told again while it lasts",
        _CHANGES,
        "known.mark == finding.mark or (known.fires and not finding.mark)",
        "known.mark == finding.mark",
        f"{_PURE} -k what_lasts",
    ),
    Mutant(
        "tasks that failed once take the places of alerts for ever",
        _CHANGES,
        "len(need) - room)",
        "0)",
        f"{_PURE} -k make_way",
    ),
    Mutant(
        "that there is no worker is not told when many tasks fail",
        _CHANGES,
        "    return alert.when not in OF_CLUSTER",
        "    return True",
        f"{_PURE} -k concerns_the_cluster",
    ),
    Mutant(
        "each master without a leader tells it",
        _LEADERLESS,
        "        if known is not None and known.mark == mark:\n            return",
        "        if known is not None and known.mark == mark:\n"
        "            self._mine[rule.name] = made\n"
        "            return",
        f"{_UNIT} -k of_the_masters",
    ),
    Mutant(
        "a master stores again that nobody led when that is over",
        _LEADERLESS,
        "            if known is None or known.id != mine.id:",
        "            if True:",
        f"{_UNIT} -k without_etcd",
    ),
    Mutant(
        "what is usual is judged by a history that is behind",
        _LOOKING,
        "        if task.has_ended and self._is_behind(key, events, task):",
        "        if False:",
        f"{_UNIT} -k is_behind",
    ),
    Mutant(
        "any answer counts as taken",
        _SENDING,
        "    if not 200 <= answer.status < 300:",
        "    if False:",
        f"{_REAL} -k any_other_answer",
    ),
    Mutant(
        "the signature leaves out the time",
        "crawler/alerts/messages.py",
        'signed = timestamp.encode() + b"." + body',
        "signed = body",
        "tests/unit/alerts/test_messages.py -k signature",
    ),
    Mutant(
        "a bounded caller sees the alerts of all",
        "crawler/api/bounded.py",
        "[each for each in self._backend.alerts(call) if self._caller.owns(each.labels)]",
        "list(self._backend.alerts(call))",
        "tests/unit/api/test_bounded.py -k rules_and_alerts",
    ),
]
