"""What keeps the web page from showing too much, or doing what nobody wanted."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_ASKED = "crawler/dashboard/asked.py"
_SESSIONS = "crawler/dashboard/sessions.py"
_LIVE = "crawler/dashboard/live.py"
_SIGNING_IN = "tests/unit/dashboard/test_signing_in.py"
_PAGES = "tests/unit/dashboard/test_pages.py"
_LIVE_TEST = "tests/unit/dashboard/test_live.py"

MUTANTS = [
    Mutant(
        "a form of another session is carried out",
        _ASKED,
        '    if not session().is_mine(request.form.get(CSRF, "")):',
        "    if False:",
        f"{_SIGNING_IN} -k not_of_this_session",
    ),
    Mutant(
        "a page of another site sends forms",
        _ASKED,
        "        raise Forbidden(STRANGE_FORM)",
        "        pass",
        f"{_SIGNING_IN} -k not_of_this_session",
    ),
    Mutant(
        "whoever signs in is led to another site",
        _ASKED,
        '    return path if is_own and "\\\\" not in path and "//" not in path else writing.PREFIX',
        "    return path or writing.PREFIX",
        f"{_SIGNING_IN} -k led_to_another_site",
    ),
    Mutant(
        "who watches sees the tasks of others",
        _ASKED,
        "    return asking, (who.role, tuple(sorted(who.labels.items())))",
        "    return asking, who.role",
        f"{_PAGES} -k watches_different_streams",
    ),
    Mutant(
        "a session never ends",
        _SESSIONS,
        "        return None if is_idle or now_ns - found.began_ns > MOST_S * NS else found",
        "        return found",
        f"{_SIGNING_IN} -k nobody_uses_it",
    ),
    Mutant(
        "what a task is called is markup",
        "crawler/dashboard/writing.py",
        "        autoescape=True,",
        "        autoescape=False,",
        f"{_PAGES} -k never_markup",
    ),
    Mutant(
        "each watcher costs the leader a look of its own",
        _LIVE,
        "        channel = self._channels.get(key)",
        "        channel = None",
        f"{_LIVE_TEST} -k cost_one_look",
    ),
    Mutant(
        "a page that nobody watches is looked at for ever",
        _LIVE,
        "                idle = 0 if channel.watchers else idle + 1",
        "                idle = 0",
        f"{_LIVE_TEST} -k is_forgotten",
    ),
]
