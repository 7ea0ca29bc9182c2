"""What keeps strangers out where people sign in."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

FILE = "crawler/api/oidc/people.py"
TESTS = "tests/unit/api/test_oidc_people.py"
CALLS = "tests/unit/api/test_oidc_calls.py"

MUTANTS = [
    Mutant(
        "a login for another client counts",
        FILE,
        '            aud={"essential": True, "values": list(self._audiences)},\n',
        "",
        TESTS,
    ),
    Mutant(
        "a login of another issuer counts",
        FILE,
        '            iss={"essential": True, "value": self._settings.oidc_issuer},\n',
        "",
        TESTS,
    ),
    Mutant(
        "a login without an end counts",
        FILE,
        '            exp={"essential": True},\n',
        "",
        TESTS,
    ),
    Mutant(
        "a token that ends a session is a login",
        FILE,
        "if not isinstance(kind, str) or kind.lower() not in TYPES:",
        "if False:",
        TESTS,
    ),
    Mutant(
        "an address that the provider doubts names somebody",
        FILE,
        ' if claims.get("email_verified", True) is True else None',
        "",
        TESTS,
    ),
    Mutant(
        "the weakest role counts",
        FILE,
        "return Caller(name, max(roles",
        "return Caller(name, min(roles",
        TESTS,
    ),
    Mutant(
        "a made-up key makes a node ask the provider each time",
        "crawler/api/oidc/keys.py",
        "            if not self._may_ask():\n                return\n",
        "",
        TESTS,
    ),
    Mutant(
        "a key that was withdrawn counts for ever",
        "crawler/api/oidc/keys.py",
        "            run_aside(",
        "            str(",
        TESTS,
    ),
    Mutant(
        "loopback is admin where people sign in",
        "crawler/api/doors.py",
        "        if self._people is not None:\n            raise Unauthenticated(NEEDS_LOGIN)\n",
        "",
        TESTS,
    ),
    Mutant(
        "a code that somebody else brings signs a person in",
        "crawler/api/oidc/loopback.py",
        "if parts.path != PATH or not self._is_ours(query):",
        "if parts.path != PATH:",
        CALLS,
    ),
    Mutant(
        "a login is not renewed",
        "crawler/cli/kept_logins.py",
        "    if isinstance(kept, Login) and _has_ended(kept):\n",
        "    if False:\n",
        CALLS,
    ),
]
