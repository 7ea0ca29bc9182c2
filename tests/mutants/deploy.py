"""What keeps a run on its code, and a bundle whole."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_BUNDLE = "crawler/deploy/bundle.py"
_PLACES = "crawler/deploy/places.py"
_REQUESTS = "crawler/node/master/project_requests.py"
_UNIT = "tests/unit/node/test_deployed.py"
_PACKED = "tests/unit/bundles/test_bundle.py"
_KEPT = "tests/contract/test_bundle_places.py"
_LEADER = "tests/unit/node/test_project_requests.py"

MUTANTS = [
    Mutant(
        "a run that moves gets the newest bundle",
        "crawler/node/master/draft.py",
        "resource.owner is not None and not resource.digest:",
        "resource.owner is not None:",
        f"{_UNIT} -k keeps_its_bundle",
    ),
    Mutant(
        "the next run keeps the bundle of the one before",
        "crawler/node/master/assignment.py",
        'fresh.replace(digest="")',
        "fresh.replace()",
        f"{_UNIT} -k keeps_its_bundle",
    ),
    Mutant(
        "a shard has another bundle than its task",
        "crawler/node/master/draft.py",
        "head.digest if head is not None and head.digest else self._bundle_for(spec)",
        "self._bundle_for(spec)",
        f"{_UNIT} -k shard_has_the_bundle",
    ),
    Mutant(
        "a worker without the project gets its task",
        "crawler/plugins/spider_available.py",
        "and not task.project",
        "",
        f"{_UNIT} -k goes_only_to_a_worker",
    ),
    Mutant(
        "a name in a bundle leads out of its folder",
        _BUNDLE,
        'and ".." not in parts',
        "",
        f"{_PACKED} -k leads_elsewhere",
    ),
    Mutant(
        "a bundle unpacks to whatever size",
        _BUNDLE,
        "            if left < 0:",
        "            if False:",
        f"{_PACKED} -k grows_too_large",
    ),
    Mutant(
        "a damaged bundle is handed out",
        _PLACES,
        "if seen.hexdigest() != digest:",
        "if False:",
        f"{_KEPT} -k damaged_in_its_folder",
    ),
    Mutant(
        "a version goes that a run has",
        _REQUESTS,
        "used.add(task.digest)",
        "pass",
        f"{_LEADER} -k that_tasks_use",
    ),
    Mutant(
        "a deployment rolls runs that nobody wanted to roll",
        _REQUESTS,
        "self._roll(kept, call) if roll else 0",
        "self._roll(kept, call)",
        f"{_LEADER} -k only_if_somebody_asks",
    ),
]
