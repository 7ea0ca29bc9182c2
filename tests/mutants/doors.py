"""What keeps strangers out, and lets each caller do no more than it may."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_DOORS = "crawler/api/doors.py"
_UNIT = "tests/unit/api/test_doors.py"
_TABLE = "tests/unit/api/test_doors_table.py"
_BOUNDED = "tests/unit/api/test_bounded.py"

MUTANTS = [
    Mutant(
        "a role may do everything",
        _DOORS,
        "    if not caller.role.may(need):",
        "    if False:",
        f"{_UNIT} -k may_what_its_role_may",
    ),
    Mutant(
        "whoever a proxy passes on is of this machine",
        _DOORS,
        "    if approach.is_passed_on:\n        return False\n    try:\n        address",
        "    try:\n        address",
        f"{_UNIT} -k nobody_else_may_read",
    ),
    Mutant(
        "whoever a proxy passes on is in a trusted network",
        _DOORS,
        "        if approach.is_passed_on or not self._trusted:",
        "        if not self._trusted:",
        f"{_UNIT} -k trusted_networks",
    ),
    Mutant(
        "the proxy's headers are not looked at over HTTP",
        "crawler/api/http/access.py",
        "        any(name in environ for name in _PASSED_ON),",
        "        False,",
        "tests/integration/test_doors.py -k counts_on_all_nodes",
    ),
    Mutant(
        "an expired token counts",
        _DOORS,
        "token is None or token.has_expired(self._clock.time_ns())",
        "token is None",
        f"{_UNIT} -k revoked_or_expired",
    ),
    Mutant(
        "a secret that was right once is right for ever",
        _DOORS,
        "if self._known.get(quick) == token.hashed:",
        "if quick in self._known:",
        f"{_UNIT} -k secret_was_replaced",
    ),
    Mutant(
        "the empty secret of a node that has not read it lets everybody in",
        _DOORS,
        "        if secret and hmac",
        "        if hmac",
        f"{_UNIT} -k not_known_yet",
    ),
    Mutant(
        "before the tokens are read, the machine's own callers come in",
        _DOORS,
        "        if not self._tokens.are_known:\n            raise Unavailable("
        '"this node has not read the tokens of its cluster yet")\n        if len',
        "        if len",
        f"{_UNIT} -k before_the_tokens",
    ),
    Mutant(
        "wrong tokens are not counted",
        _DOORS,
        "            self._failures.note(approach.address)\n",
        "",
        f"{_UNIT} -k many_wrong_tokens",
    ),
    Mutant(
        "a route that nobody decided on is for readers",
        "crawler/api/http/access.py",
        '    "node.metrics": Need.METRICS,\n',
        "",
        _TABLE,
    ),
    Mutant(
        "the short way of adding asks nobody",
        "crawler/api/http/fast_path.py",
        "self._doors.admit(approach(environ, ENDPOINT), Need.TASKS)",
        "None",
        f"{_TABLE} -k nobody_comes_in",
    ),
    Mutant(
        "gRPC calls need nothing",
        "crawler/api/rpc/access.py",
        "NEEDS.get(method_name, Need.NODES)",
        "Need.NOTHING",
        f"{_TABLE} -k over_grpc",
    ),
    Mutant(
        "a client may say that it passes a call on, and for whom",
        "crawler/api/rpc/access.py",
        "Need.NODES if FORWARDED in metadata else NEEDS",
        "NEEDS",
        f"{_UNIT} -k only_a_node_passes",
    ),
    Mutant(
        "bounds are lost on the way through a follower",
        "crawler/api/rpc/client.py",
        "found += [(CALLER, caller_text(caller)) for caller in [call.caller] if caller]",
        "pass",
        f"{_BOUNDED} -k follower_passes",
    ),
    Mutant(
        "a bounded caller gives its task away",
        "crawler/api/bounded.py",
        "        self._own(spec.name, call)\n        self._check(spec)\n",
        "        self._own(spec.name, call)\n",
        f"{_BOUNDED} -k cannot_give_them_away",
    ),
    Mutant(
        "a bounded caller asks for the tasks of others by label",
        "crawler/api/bounded.py",
        "bounds = {**query.labels, **self._caller.labels}\n",
        "bounds = dict(query.labels) or dict(self._caller.labels)\n",
        f"{_BOUNDED} -k a_list_has",
    ),
    Mutant(
        "a worker tells a bounded caller of all crawls",
        "crawler/api/bounded_crawls.py",
        "return [found for found in self._crawls.all() if self._owns(found.task)]",
        "return self._crawls.all()",
        f"{_BOUNDED} -k of_a_workers_crawls",
    ),
    Mutant(
        "a token is stored with its secret",
        "crawler/node/master/token_requests.py",
        "hashed=hash_of(parts.secret, salt),",
        "hashed=parts.secret.encode(),",
        "tests/integration/test_doors.py -k no_secret_of_a_token",
    ),
]
