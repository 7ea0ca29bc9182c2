"""The alerts of a term: the leader looks, stores what changed, and has the channels told.

What was found lies in etcd, fenced, with the channels that were not told yet. So each alert is told
once and its end once, whichever master leads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from crawler.alerts.changes import Finding, Look, Patience, changes, forgotten
from crawler.clock import Backoff
from crawler.errors import Conflict, CrawlerError, Lost, Retryable
from crawler.logs import get_logger
from crawler.model.alerts import Alert, AlertRule
from crawler.model.records import Resource
from crawler.node.master.leader_context import LeaderContext
from crawler.node.master.looking import Looking
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

REST = 50.0
"""The pause after a look is at least so many times as long as the look: with many tasks a look
takes time, which placement needs more."""


class Alerting:
    """Carries out the rules of alerts for one term."""

    def __init__(self, ctx: LeaderContext, with_counts: Callable[[Resource], Resource]) -> None:
        """`with_counts` returns a task with the latest counts of all its runs."""
        self._ctx = ctx
        self._alerts = ctx.alerts
        self._rules = ctx.alert_rules
        self._channels = ctx.channels
        self._looking = Looking(ctx, with_counts)
        self._patience = Patience()
        self._supervisor = Supervisor("alerts", clock=ctx.clock)
        self._was_idle = False
        self._leads = True
        self._surplus = 0
        self._dropped = 0

    def start(self) -> None:
        """Begin to look, after this master has taken over."""
        self._supervisor.spawn("alerts", self._run, on_end=OnEnd.RESTART)
        self._channels.start(self._supervisor, self)

    def stop(self) -> None:
        """Look no more. What is owed, the next leader tells."""
        self._leads = False
        self._supervisor.stop()

    def owed(self, channel: str) -> Sequence[Alert]:
        """Return the alerts of which a channel was not told, the oldest first."""
        if not self._leads:
            return []
        found = [each for each in self._alerts.found().values() if channel in each.owed]
        return sorted(found, key=lambda each: (each.recovered_ns or each.since_ns, each.id))

    def told(self, channel: str, alerts: Sequence[Alert]) -> None:
        """Note that a channel was told. While the store fails, it is tried again: otherwise the
        channel would be told again."""
        for alert in alerts:
            backoff = Backoff()
            while self._leads and not self._noted(channel, alert):
                self._ctx.clock.sleep(backoff.next_s())

    def take_dropped(self) -> int:
        """Return how many alerts were not kept since the last call."""
        found, self._dropped = self._dropped, 0
        return found

    def _noted(self, channel: str, alert: Alert) -> bool:
        """Note it in the alert as it is now. If that changed meanwhile, the change is owed."""
        present = self._alerts.found().get(alert.key)
        is_same = present is not None and (present.id, present.fires) == (alert.id, alert.fires)
        if present is None or not is_same:
            return True
        try:
            self._alerts.put(self._ctx.leadership, present.told(channel))
        except Lost:
            self._leads = False
        except (Conflict, Retryable):
            return False
        return True

    def _run(self) -> None:
        clock, check_s = self._ctx.clock, self._channels.settings.check_s
        while self._leads:
            began_s = clock.monotonic()
            try:
                self._check()
            except Lost:
                self._leads = False
            except CrawlerError as error:
                log.warning("alerts were not checked; trying again", error=str(error))
            clock.sleep(max(check_s, REST * (clock.monotonic() - began_s)))

    def _check(self) -> None:
        """Look once, and store what changed."""
        rules = self._rules.all(self._alerts.rules())
        known = list(self._alerts.found().values())
        if not rules:
            self._was_idle = True
            return self._store([], known)
        mark = self._mark()
        self._check_ends(rules, mark)
        known = list(self._alerts.found().values())
        kept = [each for each in known if _is_of(each, rules)]
        look, judged = self._looking.look(list(rules.values()), kept, mark)
        lasting = self._patience.lasting(look.findings, self._ctx.clock.monotonic())
        self._take(rules, kept, look, lasting)
        now_ns = self._ctx.clock.time_ns()
        unruled = [each for each in known if not _is_of(each, rules)]
        self._store([], [*forgotten(kept, now_ns), *unruled])
        if judged != self._alerts.mark():
            self._alerts.set_mark(self._ctx.leadership, judged)

    def _check_ends(self, rules: Mapping[str, AlertRule], mark: int) -> None:
        """Judge the ends since the last look of tasks that were begun once more meanwhile. The
        ends of one task are judged one after the other: each is another alert."""
        ended = self._ctx.mirrors.begun_again
        while ended:
            ends: dict[str, Resource] = {}
            while ended and ended[0].name not in ends:
                task = ended.popleft()
                if task.mod_revision > mark and task.has_ended and not task.spec.shard:
                    ends[task.name] = task
            try:
                look = self._looking.look_at_ends(list(rules.values()), ends.values())
                kept = [each for each in self._alerts.found().values() if _is_of(each, rules)]
                self._take(rules, kept, look, look.findings)
            except BaseException:
                ended.extendleft(reversed(ends.values()))
                raise

    def _take(
        self,
        rules: Mapping[str, AlertRule],
        kept: Sequence[Alert],
        look: Look,
        lasting: Sequence[Finding],
    ) -> None:
        """Store what a look changes."""

        def channels_of(name: str) -> tuple[str, ...]:
            return self._rules.channels_of(rules[name])

        found = changes(kept, look, lasting, self._ctx.clock.time_ns(), channels_of)
        self._count_dropped(found.dropped)
        self._store(found.changed, found.gone)

    def _mark(self) -> int:
        """Return from which revision on ends of runs are judged. Without rules before, they are
        judged from now on: nobody wants to be told of what ended long ago."""
        mark, now = self._alerts.mark(), self._ctx.mirrors.resources.revision
        is_first = self._was_idle or not mark
        self._was_idle = False
        return now if is_first or mark > now else mark  # a later one is of another etcd

    def _store(self, changed: Sequence[Alert], gone: Sequence[Alert]) -> None:
        leadership = self._ctx.leadership
        for alert in changed:
            try:
                self._alerts.put(leadership, alert)
            except Conflict:  # a channel was told at the same moment
                present = self._alerts.found().get(alert.key)
                if present is not None and present.id == alert.id:
                    revision = present.mod_revision
                    self._alerts.put(leadership, replace(alert, mod_revision=revision))
            told = alert.text if alert.fires else alert.recovery
            state = "firing" if alert.fires else "recovered"
            log.warning(f"alert {state}", rule=alert.rule, subject=alert.subject, text=told)
        for alert in gone:
            self._alerts.remove(leadership, alert)
        if changed:
            self._channels.wake()

    def _count_dropped(self, surplus: int) -> None:
        if surplus > self._surplus:
            self._dropped += surplus - self._surplus
            log.error("too many alerts fire; some are not kept", alerts=surplus)
        self._surplus = surplus


def _is_of(alert: Alert, rules: Mapping[str, AlertRule]) -> bool:
    """Whether the rule that found an alert is still there, and watches for the same."""
    rule = rules.get(alert.rule)
    return rule is not None and rule.when is alert.when
