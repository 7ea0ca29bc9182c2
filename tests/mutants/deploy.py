"""What keeps a run on its code, and a bundle whole."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_BUNDLE = "crawler/deploy/bundle.py"
_PLACES = "crawler/deploy/places.py"
_REQUESTS = "crawler/node/master/project_requests.py"
_UNIT = "tests/unit/node/test_deployed.py"
_PACKED = "tests/unit/bundles/test_bundle.py"
_KEPT = "tests/contract/test_bundle_places.py"
_WORKER = "crawler/node/worker/bundles.py"
_ENVIRONMENTS = "crawler/node/worker/environments.py"
_WORKERS = "tests/unit/node/test_worker_bundles.py"
_MADE = "tests/unit/node/test_environments.py"
_WHOLE = "tests/integration/test_processes_deploy.py"
_LEADER = "tests/unit/node/test_project_requests.py"

MUTANTS = [
    Mutant(
        "a rolled run stops before its worker has the new code",
        "crawler/node/worker/worker.py",
        "            and self._bundles.awaits(resource.digest)",
        "            and False",
        "tests/unit/node/test_rolled_runs.py -k until_the_new_one_is_ready",
    ),
    Mutant(
        "a run goes on that another worker may have had meanwhile",
        "crawler/node/worker/reconcile.py",
        "        and desired.epoch == run.epoch + 1",
        "",
        "tests/unit/node/test_rolled_runs.py -k very_next_run",
    ),
    Mutant(
        "whoever waits for a bundle fails with the run that was cut off",
        "crawler/node/worker/bundles.py",
        "            if not mine.ready():\n                mine.set()",
        "            if not mine.ready():\n                mine.set_exception(Unavailable())",
        "tests/unit/node/test_worker_bundles.py -k cut_off_tries_again",
    ),
    Mutant(
        "a bounded caller sees the spiders of others' projects",
        "crawler/api/spider_list.py",
        "                if each.project in visible:",
        "                if each.project in visible or each.project:",
        "tests/unit/api/test_spider_list.py -k bounds",
    ),
    Mutant(
        "what a worker told before it came back counts for ever",
        "crawler/api/spider_list.py",
        "    return node.incarnation, node.spiders, bundles_in(node.metadata)",
        "    return node.spiders, bundles_in(node.metadata)",
        "tests/unit/api/test_spider_list.py -k registrations",
    ),
    Mutant(
        "the default of a password is told to everybody who may read",
        "crawler/engine/spiders/described.py",
        "    told = None if _SECRET.search(name) else _as_json(default)",
        "    told = _as_json(default)",
        "tests/unit/engine/test_described.py -k looks_secret",
    ),
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
    Mutant(
        "a bundle whose bytes have another digest is unpacked",
        _WORKER,
        "if in_thread(digest_of, path) != digest:",
        "if False:",
        f"{_WORKERS} -k another_digest",
    ),
    Mutant(
        "a project that cannot run here stays offered",
        _WORKER,
        "            self._withdraw(project.name)\n",
        "",
        f"{_WORKERS} -k cannot_run_here",
    ),
    Mutant(
        "an environment counts although it was not finished",
        _ENVIRONMENTS,
        "if not in_thread((folder / WHOLE).exists):",
        "if not in_thread((folder / 'venv').exists):",
        f"{_MADE} -k not_finished",
    ),
    Mutant(
        "a spider can change the packages of other projects",
        "crawler/deploy/requirements.py",
        '"--link-mode", "copy"',
        '"--link-mode", "hardlink"',
        f"{_MADE} -k spider_code_changes",
    ),
    Mutant(
        "the packages of the worker come before those of a lock",
        _ENVIRONMENTS,
        "path = [str(self._engine())] if lock else []",
        "path: list[str] = []",
        f"{_MADE} -k none_of_the_worker",
    ),
    Mutant(
        "a bundle is removed that a run has",
        _ENVIRONMENTS,
        "            if _is_old(path, until_s):\n                _remove(path)\n            else:",
        "            if _is_old(path, 0):\n                _remove(path)\n            else:",
        f"{_MADE} -k needs_for_long",
    ),
    Mutant(
        "a run of a project gets a process with the spiders of the worker",
        "crawler/node/crew/processes.py",
        "        if not resource.spec.project:\n            return self._own\n",
        "        return self._own\n",
        f"{_WHOLE} -k in_the_middle",
    ),
    Mutant(
        "a bundle that cannot be loaded is tried for ever",
        "crawler/node/crew/team.py",
        "        if self.digest and self.fault:\n            return self.fault\n",
        "",
        f"{_WHOLE} -k fails_its_task_alone",
    ),
    Mutant(
        "an index that is away for a moment refuses a project for good",
        _WORKER,
        "if self._faults[digest] >= TRIES",
        "if True",
        f"{_WORKERS} -k does_not_reach",
    ),
    Mutant(
        "a bundle that comes late replaces a later one",
        _WORKER,
        "if self._projects.get(project.name) == project:",
        "if True:",
        f"{_WORKERS} -k takes_long",
    ),
    Mutant(
        "what builds a package sees the password of etcd",
        _ENVIRONMENTS,
        "env = without_secrets(os.environ, self._secrets)",
        "env = dict(os.environ)",
        f"{_MADE} -k sees_nothing",
    ),
    Mutant(
        "half a bundle counts as a whole one",
        _ENVIRONMENTS,
        'if not path.name.startswith("."):',
        "if False:",
        f"{_MADE} -k removal_is_cut_off",
    ),
    Mutant(
        "crawl processes have the credentials of deploy.url",
        "crawler/node/crew/starter.py",
        "            deploy=DeploySettings(),\n",
        "",
        "tests/integration/test_processes_children.py -k opens_the_cluster",
    ),
    Mutant(
        "a worker that lists no spiders gets the task of a project",
        "crawler/plugins/spider_available.py",
        " and not (task.project and node.spiders is None)",
        "",
        f"{_UNIT} -k goes_only_to_a_worker",
    ),
    Mutant(
        "a run rolls to code without its spider",
        _REQUESTS,
        " and spec.spider_name in version.spiders",
        "",
        f"{_LEADER} -k only_if_somebody_asks",
    ),
    Mutant(
        "what became ready while a worker registered is never told",
        "crawler/node/worker/worker.py",
        "if self._with_bundles(session.node) != session.node:",
        "if False:",
        "tests/unit/node/test_registration.py -k becomes_ready",
    ),
    Mutant(
        "equal checksums hide a change between two bundles",
        "crawler/deploy/contents.py",
        "    with old.open(one) as first",
        "    return True\n    with old.open(one) as first",
        "tests/unit/bundles/test_contents.py",
    ),
    Mutant(
        "operators see the code of projects over HTTP",
        "crawler/api/http/access.py",
        '"crawler.bundle_files": Need.CLUSTER',
        '"crawler.bundle_files": Need.TASKS',
        "tests/integration/test_api_projects.py -k admins_alone",
    ),
    Mutant(
        "operators see the code of projects over gRPC",
        "crawler/api/rpc/access.py",
        'CompareBundles": Need.CLUSTER',
        'CompareBundles": Need.TASKS',
        "tests/integration/test_api_projects.py -k admins_alone",
    ),
]
