"""What a crawl of several shards promises: docs/crawling-on.md."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_TESTS = "tests/unit/engine/test_shared_crawl.py"
_FRONTIER_TESTS = "tests/unit/engine/test_shared_frontier.py"
_CHECKPOINTS = "crawler/engine/crawl/shared_checkpoints.py"
_FRONTIER = "crawler/engine/frontier/shared_frontier.py"
_JOURNAL = "crawler/engine/frontier/shared_journal.py"

MUTANTS = [
    Mutant(
        "each shard has a time of its own",
        "crawler/engine/crawl/close_conditions.py",
        "settings.max_run_s if self.keeps_time else 0.0",
        "settings.max_run_s",
        f"{_TESTS} -k keeps_the_time",
    ),
    Mutant(
        "shards do not hear that the time of their task is up",
        "crawler/engine/crawl/close_conditions.py",
        '            self.end("max_run_s")\n',
        '            self._end("max_run_s")\n',
        f"{_TESTS} -k keeps_the_time",
    ),
    Mutant(
        "a page keeps all its links in memory until its end",
        _JOURNAL,
        "if len(self._offers) >= MOST_OFFERED:",
        "if False:",
        f"{_TESTS} -k with_very_many_links",
    ),
    Mutant(
        "what is wanted in any case is offered ahead of its page",
        _JOURNAL,
        "offers = [each for each in self._offers if each.mark]\n",
        "offers = self._offers\n",
        f"{_FRONTIER_TESTS} -k before_its_end",
    ),
    Mutant(
        "however many are wanted in any case, Redis gets them in one call",
        _JOURNAL,
        "if self._wanted > MOST_WANTED:",
        "if False:",
        f"{_FRONTIER_TESTS} -k wanted_in_any_case_stay",
    ),
    Mutant(
        "a page has its end before what it yields is offered",
        _CHECKPOINTS,
        "        self._answer = answer = self._store.exchange(step, self._exchange)\n",
        "        self._store.write(step)\n"
        "        self._answer = answer = self._store.exchange(Step(), self._exchange)\n",
        f"{_TESTS} -k dies_at_any_exchange",
    ),
    Mutant(
        "what is offered is dropped at a step",
        _JOURNAL,
        "        offers, self._offers, self._wanted = self._offers, [], 0\n",
        "        offers, self._offers, self._wanted = self._offers[1:], [], 0\n",
        f"{_TESTS} -k fetch_each_page_once",
    ),
    Mutant(
        "the URLs of offers are known before they are offered",
        _JOURNAL,
        "        self.seen.keep_back(mark)  # the store learns it from the offer\n",
        "",
        f"{_TESTS} -k fetch_each_page_once",
    ),
    Mutant(
        "what was drawn counts as taken twice",
        _JOURNAL,
        "        self._taken += 1\n",
        "        self._taken += 2\n",
        f"{_TESTS} -k fetch_each_page_once",
    ),
    Mutant(
        "what was drawn is never taken",
        _JOURNAL,
        "        taken, self._taken = self._taken, 0\n",
        "        taken, self._taken = 0, 0\n",
        f"{_TESTS} -k fetch_each_page_once",
    ),
    Mutant(
        "what was drawn is in no step",
        _JOURNAL,
        "        if job is not None:\n",
        "        if False:\n",
        f"{_TESTS} -k dies_at_any_exchange",
    ),
    Mutant(
        "a drawn request keeps the number that another shard gave it",
        _FRONTIER,
        "Job.from_record(json.loads(offer.record), next(self._order))",
        "Job.from_record(json.loads(offer.record))",
        f"{_FRONTIER_TESTS} -k number_of_this_run",
    ),
    Mutant(
        "a shard goes on with the number that another shard gave a request",
        "crawler/engine/crawl/resume.py",
        "Job.from_record(json.loads(waiting.record), waiting.id)",
        "Job.from_record(json.loads(waiting.record))",
        f"{_TESTS} -k stop_of_all",
    ),
    Mutant(
        "a shard with nothing to do takes the task for over",
        "crawler/engine/crawl/crawl.py",
        "self._start is None and self._checkpoints.is_over",
        "self._start is None",
        f"{_TESTS} -k alone_waits",
    ),
    Mutant(
        "a shard does not tell what it holds",
        _CHECKPOINTS,
        "            left=self._context.counters.pending - len(offers),\n",
        "            left=0,\n",
        f"{_TESTS} -k may_still_find",
    ),
    Mutant(
        "each shard reads the start",
        "crawler/engine/crawl/crawl.py",
        "None if self._is_part else self._starting()",
        "self._starting()",
        f"{_TESTS} -k only_the_head_reads",
    ),
    Mutant(
        "the head judges by its own counts",
        "crawler/engine/crawl/crawl.py",
        "        others = self._close_conditions.others\n",
        "        others = Counts()\n",
        f"{_TESTS} -k only_the_head_judges",
    ),
    Mutant(
        "each shard judges",
        "crawler/engine/crawl/crawl.py",
        "        if self._is_part:\n            return outcome_of_part",
        "        if False:\n            return outcome_of_part",
        f"{_TESTS} -k only_the_head_judges",
    ),
    Mutant(
        "a limit counts for each shard alone",
        _CHECKPOINTS,
        "        conditions.others = total(answer.others.values())\n",
        "        pass\n",
        f"{_TESTS} -k limit_counts_over",
    ),
    Mutant(
        "the pages of a host are counted where their links are",
        "crawler/engine/frontier/filters.py",
        '        """No reason: whoever draws the URL counts it."""\n        return ""\n',
        "        return super().exhausted(url)\n",
        f"{_TESTS} -k pages_of_a_host",
    ),
    Mutant(
        "what is given back counts for its host twice",
        _FRONTIER,
        "            elif not job.request.dont_filter:\n",
        "            elif False:\n",
        f"{_FRONTIER_TESTS} -k counts_no_longer",
    ),
    Mutant(
        "a callback ends the crawl of its shard alone",
        _CHECKPOINTS,
        "        if WISH in answer.told:\n",
        "        if False:\n",
        f"{_TESTS} -k callback_that_ends",
    ),
    Mutant(
        "only the head knows where secrets go",
        _CHECKPOINTS,
        "        if HOME in answer.told:\n",
        "        if False:\n",
        f"{_TESTS} -k secrets",
    ),
    Mutant(
        "secrets go to the first host that a shard asks",
        _CHECKPOINTS,
        "        if HOME in answer.told:\n",
        "        self._sender.finds_home = True\n        if False:\n",
        f"{_TESTS} -k secrets",
    ),
    Mutant(
        "nobody does what a shard without a run holds",
        _CHECKPOINTS,
        "            self._adopt()\n",
        "            pass\n",
        f"{_TESTS} -k leaves_the_rest",
    ),
    Mutant(
        "the target of a redirect is fetched though it is known elsewhere",
        _JOURNAL,
        "self._offer(waiting, mark if is_asked else 0)",
        "self._offer(waiting, 0)",
        f"{_FRONTIER_TESTS} -k redirect_is_offered",
    ),
    Mutant(
        "a request that cannot be written down is lost",
        _JOURNAL,
        "            self._keep_back(job, error)\n            return True\n",
        "            self._keep_back(job, error)\n            return False\n",
        f"{_TESTS} -k cannot_be_written_down",
    ),
    Mutant(
        "a site is given back while something of it is in flight",
        _FRONTIER,
        "        ready = [queue for queue in self._promised if not queue.busy]\n",
        "        ready = list(self._promised)\n",
        f"{_FRONTIER_TESTS} -k in_flight",
    ),
    Mutant(
        "a shard lets go of a site for which a retry waits",
        _FRONTIER,
        "        stays.update(urls.origin(job.url) for _, _, job in self._later)\n",
        "",
        f"{_FRONTIER_TESTS} -k retry",
    ),
    Mutant(
        "a shard reads a page that is known by another URL already",
        _FRONTIER,
        '            return job, "duplicate"\n',
        "            pass\n",
        f"{_FRONTIER_TESTS} -k known_by",
    ),
]
