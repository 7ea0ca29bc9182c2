"""Looks at the cluster as the leader knows it, and judges it by the rules of alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from crawler.alerts import judging
from crawler.alerts.changes import AT_END, Finding, Look
from crawler.alerts.judging import Past
from crawler.clock import give_turn
from crawler.errors import NotFound, Unavailable
from crawler.model.access import has_labels
from crawler.model.alerts import Alert, AlertRule, When
from crawler.model.history import Event
from crawler.model.records import NO_SHARD_COUNTS, Resource
from crawler.model.shards import total
from crawler.node.master.leader_context import LeaderContext

TASKS_A_TURN = 1_000
"""How many tasks are judged before other greenlets get a turn."""
MOST_LOOKUPS = 50
"""How many tasks are looked up in the history in one look. The others follow in the next one."""
MOST_KNOWN = 10_000
"""How many of them are remembered."""
EVENTS = 200
"""How many events of a task are read: those of more than ten runs, usually."""
LOOKUP_S = 2.0
BEHIND_S = 60.0
"""How long it is waited for a history that is behind."""

CLUSTER = "cluster"
BEFORE_END = frozenset({When.LATE, When.WAITING, When.FAILURES})
COUNTED = frozenset({When.LATE, When.FAILURES, When.FEW_ITEMS})
FROM_HISTORY = frozenset({When.LATE, When.FEW_ITEMS})


def subject_of(task: str) -> str:
    """Return how an alert calls a task."""
    return f"task {task}"


class Looking:
    """Looks again and again, for one term."""

    def __init__(self, ctx: LeaderContext, with_counts: Callable[[Resource], Resource]) -> None:
        """`with_counts` returns a task with the latest counts of all its runs."""
        self._ctx = ctx
        self._with_counts = with_counts
        self._past: dict[str, Past] = {}
        self._behind: dict[str, float] = {}
        """Since when it is waited for the history to know of an end."""
        self._lookups = 0

    def look(
        self, rules: Sequence[AlertRule], alerts: Iterable[Alert], mark: int
    ) -> tuple[Look, int]:
        """Judge everything that has not ended, and the ends of runs that were stored after the
        revision `mark`. Return what was found, and up to which revision all ends are judged."""
        found = Look()
        self._lookups = 0
        mark = self._tasks(rules, mark, found)
        for rule in rules:
            if rule.when is When.LATE:
                self._schedules(rule, found)
            elif rule.when is When.DISK:
                self._disks(rule, found)
            elif rule.when is When.NO_WORKER:
                self._workers(rule, found)
        self._gone({each.name: each for each in rules}, alerts, found)
        return found, mark

    def look_at_ends(self, rules: Sequence[AlertRule], ends: Iterable[Resource]) -> Look:
        """Judge tasks as they had ended. What the history cannot say now is not judged later."""
        found = Look()
        at_end = [each for each in rules if each.when in AT_END]
        for task in ends:
            self._task(at_end, _by_itself(task), judging.wrong_at_end, found)
        return found

    def _tasks(self, rules: Sequence[AlertRule], mark: int, found: Look) -> int:
        """Judge the tasks. Return the new mark: no end after it was judged, and each before was."""
        at_end = [each for each in rules if each.when in AT_END]
        before_end = [each for each in rules if each.when in BEFORE_END]
        judged, missed = [mark], list[int]()
        for number, task in enumerate(self._ctx.mirrors.all_resources()):
            if number % TASKS_A_TURN == TASKS_A_TURN - 1:
                give_turn()
            if task.spec.shard:
                continue
            if not task.has_ended:
                self._task(before_end, task, judging.wrong_before_end, found)
            elif task.mod_revision > mark:
                done = self._task(at_end, task, judging.wrong_at_end, found)
                (judged if done else missed).append(task.mod_revision)
        return min(max(judged), min(missed) - 1) if missed else max(judged)

    def _task(
        self,
        rules: Sequence[AlertRule],
        task: Resource,
        judge: Callable[[AlertRule, Resource, Past], str],
        found: Look,
    ) -> bool:
        """Judge a task. Return whether all rules could."""
        own = [each for each in rules if has_labels(task.spec.labels, each.labels)]
        if not own:
            return True
        needs_counts = any(each.when in COUNTED for each in own)
        counted, complete = self._with_counts(task) if needs_counts else task, True
        for rule in own:
            past = self._past_of(task) if rule.when in FROM_HISTORY else Past()
            if past is None:
                complete = False
                continue
            text = judge(rule, counted, past)
            mark = "" if rule.when is When.WAITING else judging.run_mark(task)
            well = _well(task) if task.has_ended and rule.when in AT_END else ""
            labels = task.spec.labels
            found.judge(Finding(rule, subject_of(task.name), text, mark, labels), well)
        return complete

    def _past_of(self, task: Resource) -> Past | None:
        """Return what the runs before did; None if nobody can say it now."""
        key = f"{task.name}\0{judging.run_mark(task)}"
        if key in self._past:
            return self._past[key]
        if self._lookups >= MOST_LOOKUPS:
            return None
        self._lookups += 1
        try:
            events = self._ctx.history.of_task(task.name, EVENTS, LOOKUP_S)
        except NotFound:
            events = []
        except Unavailable:
            self._lookups = MOST_LOOKUPS
            return None
        if task.has_ended and self._is_behind(key, events, task):
            return None
        if len(self._past) >= MOST_KNOWN:
            self._past.clear()
        self._past[key] = judging.past_of(events, task)
        return self._past[key]

    def _is_behind(self, key: str, events: Sequence[Event], task: Resource) -> bool:
        """Whether the history does not know yet that a task has ended. Then it may not know either
        how the runs before ended. It is not waited for without end: it may have lost some."""
        if judging.knows_end(events, task):
            self._behind.pop(key, None)
            return False
        now_s = self._ctx.clock.monotonic()
        if len(self._behind) >= MOST_KNOWN:
            self._behind.clear()
        return bool(events) and now_s - self._behind.setdefault(key, now_s) < BEHIND_S

    def _schedules(self, rule: AlertRule, found: Look) -> None:
        now_ns = self._ctx.clock.time_ns()
        for number, (name, each) in enumerate(list(self._ctx.schedules.all().items())):
            if number % TASKS_A_TURN == TASKS_A_TURN - 1:
                give_turn()
            labels = each.wish.task.labels
            if not has_labels(labels, rule.labels):
                continue
            try:
                text, mark = judging.wrong_with_schedule(rule, each, now_ns)
            except (ValueError, OverflowError):  # its times cannot be told; the timekeeper says it
                continue
            found.judge(Finding(rule, f"schedule {name}", text, mark, labels))

    def _disks(self, rule: AlertRule, found: Look) -> None:
        for worker in self._ctx.mirrors.cluster_state.candidates.values():
            text = judging.wrong_with_disk(rule, worker.reported.disk)
            found.judge(Finding(rule, f"worker {worker.id}", text))

    def _workers(self, rule: AlertRule, found: Look) -> None:
        live = self._ctx.mirrors.live_workers().values()
        has_one = any(not each.draining for each in live)
        found.judge(Finding(rule, CLUSTER, "" if has_one else "there is no worker"))

    def _gone(self, rules: Mapping[str, AlertRule], alerts: Iterable[Alert], found: Look) -> None:
        """Note the alerts about tasks that are gone, or that their rules do not concern now."""
        for alert in alerts:
            rule, name = rules.get(alert.rule), alert.subject.removeprefix("task ")
            if rule is None or not alert.fires or name == alert.subject:
                continue
            task = self._ctx.mirrors.resource(name)
            if task is None:
                found.judge(Finding(rule, alert.subject, ""), "the task was deleted")
            elif not has_labels(task.spec.labels, rule.labels):
                found.judge(Finding(rule, alert.subject, ""), "the task has other labels now")


def _by_itself(task: Resource) -> Resource:
    """Return a task with the counts of all its shards as its own: the present ones are of another
    run."""
    counts = total([task.counts, *task.shard_counts.values()])
    spec = replace(task.spec, workers=1)
    return task.replace(spec=spec, counts=counts, shard_counts=NO_SHARD_COUNTS)


def _well(task: Resource) -> str:
    """Return what to say if a task has ended and its end is as it should be."""
    return "the task was stopped" if task.stopped else "the next run ended well"
