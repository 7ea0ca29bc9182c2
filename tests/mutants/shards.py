"""What a task on several workers rests on, beside the store that its shards share."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_SHARDS = "tests/unit/node/test_shards.py"
_API = "tests/integration/test_api_shards.py"
_CRAWL = "tests/unit/engine/test_shared_crawl.py"
_MODEL = "tests/model/test_model.py"
_MEND = "crawler/node/master/shards.py"

MUTANTS = [
    Mutant(
        "a shard that comes back begins with the first epoch",
        _MEND,
        "epoch = max(self._revision(), 0 if present is None else present.epoch)",
        "epoch = 0",
        f"{_SHARDS} -k comes_back",
    ),
    Mutant(
        "a shard has an id of its own",
        _MEND,
        "made = Resource(spec, id=head.id, epoch=epoch, generation=head.generation)",
        "made = Resource(spec, epoch=epoch, generation=head.generation)",
        f"{_SHARDS} -k in_one_step",
    ),
    Mutant(
        "shards stay when their task is gone",
        _MEND,
        "        if head is None or head.spec.shard:\n            return list(found)\n",
        "        if head is None or head.spec.shard:\n            return []\n",
        f"{_SHARDS} -k deleting",
    ),
    Mutant(
        "shards that wait run after their task is done",
        _MEND,
        "if shard.owner is None or shard.awaits_spider or now_s >= due_s:",
        "if now_s >= due_s:",
        f"{_SHARDS} -k that_wait_are_done",
    ),
    Mutant(
        "a shard that does not end by itself goes on for ever",
        _MEND,
        "if shard.owner is None or shard.awaits_spider or now_s >= due_s:",
        "if shard.owner is None:",
        f"{_SHARDS} -k ended_if_they_do_not",
    ),
    Mutant(
        "a shard that the leader has ended runs in its memory",
        _MEND,
        'reason="", running=0)',
        'reason="")',
        f"{_SHARDS} -k ended_if_they_do_not",
    ),
    Mutant(
        "a task keeps a shard too many",
        _MEND,
        "if s.spec.shard >= keeps or",
        "if s.spec.shard > keeps or",
        f"{_MODEL} -k as_many_shards",
    ),
    Mutant(
        "a task whose worker lacked its spider ends its shards",
        _MEND,
        "            elif head.has_ended:",
        "            elif head.state.finished:",
        f"{_SHARDS} -k is_not_over",
    ),
    Mutant(
        "who asks for a task anew gets shards that go on with the crawl before",
        _MEND,
        "changed = begun.replace(awaits_spider=waits, **about)",
        "changed = begun.replace(awaits_spider=waits)",
        f"{_SHARDS} -k anew_gets_all",
    ),
    Mutant(
        "a run that shares nothing goes on when its task gets shards",
        _MEND,
        "if head.owner is not None and not head.shared:",
        "if False:",
        f"{_SHARDS} -k shares_nothing_yet",
    ),
    Mutant(
        "each change of the number of workers begins the run again",
        _MEND,
        "if head.owner is not None and not head.shared:",
        "if head.owner is not None:",
        f"{_SHARDS} -k restarts_nothing",
    ),
    Mutant(
        "a task that failed when it was over is tried again without its shards",
        _MEND,
        "if is_over and has_failed:",
        "if False:",
        f"{_SHARDS} -k tried_again_with",
    ),
    Mutant(
        "a leader does not look at shards after an election",
        "crawler/scheduler/cluster_state.py",
        "self.changes.begin(self.holdings, self.workers.candidates, sharded)",
        "self.changes.begin(self.holdings, self.workers.candidates)",
        f"{_SHARDS} -k next_leader_mends",
    ),
    Mutant(
        "a shard may be changed alone",
        "crawler/node/master/objections.py",
        "    task = resource.spec.shard_of\n",
        '    task = ""\n',
        f"{_SHARDS} -k alone_cannot",
    ),
    Mutant(
        "a new task may have the name of a shard",
        "crawler/node/master/objections.py",
        "    if not is_like_shard(name):\n",
        "    if True:\n",
        f"{_SHARDS} -k like_that_of_a_shard",
    ),
    Mutant(
        "shards are placed like other tasks",
        "crawler/plugins/shards.py",
        "    if not task.shard_of:\n",
        "    if True:\n",
        f"{_SHARDS} -k although_others_have_fewer",
    ),
    Mutant(
        "a listing has a task for each shard",
        "crawler/node/master/listing.py",
        " if query.shards or not each.spec.shard)",
        ")",
        "tests/unit/node/test_listing.py -k only_on_demand",
    ),
    Mutant(
        "a listing counts the head alone",
        "crawler/node/master/backend.py",
        "counted = self.live.of_run if query.shards else self.live.of_task",
        "counted = self.live.of_run",
        f"{_API} -k several_resources",
    ),
    Mutant(
        "what removed shards have counted is gone",
        "crawler/node/master/live_counts.py",
        "{**known, **head.shard_counts, **told}",
        "known",
        f"{_API} -k removed_shards",
    ),
    Mutant(
        "the statistics of removed shards are gone",
        "crawler/model/statistics.py",
        "*(replace(part, shards={}) for part in told), *known]",
        "*(replace(part, shards={}) for part in told)]",
        f"{_CRAWL} -k shard_that_is_gone",
    ),
    Mutant(
        "the head does not ask for statistics when it ends",
        "crawler/engine/crawl/shared_checkpoints.py",
        "            self._asks_s = -math.inf\n        self._hand_over(",
        "        self._hand_over(",
        f"{_CRAWL} -k shard_that_is_gone",
    ),
    Mutant(
        "what the head has heard counts for a shard that tells for itself",
        "crawler/node/master/live_counts.py",
        "{**known, **head.shard_counts, **told}",
        "{**known, **head.shard_counts}",
        f"{_API} -k removed_shards",
    ),
    Mutant(
        "a new crawl of the task begins with the counts of old shards",
        "crawler/model/records.py",
        "self.shard_counts if goes_on else NO_SHARD_COUNTS",
        "self.shard_counts",
        f"{_API} -k removed_shards",
    ),
    Mutant(
        "a later run of the head has not kept what it had heard",
        "crawler/engine/crawl/shared_checkpoints.py",
        "            state = {**state, OTHERS: json.dumps(others)}\n",
        "            pass\n",
        "tests/unit/engine/test_shared_crawl.py -k leaves_the_rest",
    ),
    Mutant(
        "shards do not tell that all was filtered",
        "crawler/engine/crawl/shared_checkpoints.py",
        "            NO_PAGE: filtered_all(self._context.counters),\n",
        "",
        "tests/unit/engine/test_shared_crawl.py -k robots_txt_forbids",
    ),
    Mutant(
        "what a shed shard holds is cleared with it",
        "crawler/node/worker/fates.py",
        "return Fate.SHED if here is None and others else Fate.DELETED",
        "return Fate.DELETED",
        "tests/unit/node/test_fates.py",
    ),
    Mutant(
        "the items of shards are crawls of their own",
        "crawler/items/crawls.py",
        "        found = shared.setdefault((chain.id, chain.of), {})\n",
        "        found = shared.setdefault((chain.id, f'{chain.of}{chain.shard}'), {})\n",
        "tests/unit/items/test_reader.py -k counts",
    ),
    Mutant(
        "the items of a crawl before count with those of its shards",
        "crawler/items/crawls.py",
        "        found = shared.setdefault((chain.id, chain.of), {})\n",
        '        found = shared.setdefault((chain.id, ""), {})\n',
        "tests/unit/items/test_reader.py -k counts",
    ),
]
