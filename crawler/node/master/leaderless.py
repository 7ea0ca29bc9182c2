"""Tells that nobody leads: the one alert that no leader can find.

Each master watches for it. The first that stores the alert tells the channels. If etcd itself does
not answer, nobody can be the first: then each master tells, under the same id, and says so. The
next leader finds the alert, and tells that it is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from crawler.alerts.channels import Channels
from crawler.alerts.rules import Rules
from crawler.alerts.sending import Unsent
from crawler.clock import Clock
from crawler.coordination.alerts import Alerts
from crawler.errors import CrawlerError
from crawler.logs import get_logger
from crawler.model.alerts import Alert, AlertRule, When
from crawler.node.master.looking import CLUSTER
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

ALONE = "etcd does not answer this master, so other masters may tell this, too, under the same id."


class Leaderless:
    """Watches, on each master, whether anybody leads."""

    def __init__(
        self,
        alerts: Alerts,
        rules: Rules,
        channels: Channels,
        clock: Clock,
        why: Callable[[], str],
        last: Callable[[], int],
    ) -> None:
        """`why` returns why this master knows of no leader that answers; empty if it knows one.
        `last` returns the revision of the last leadership that it saw."""
        self._alerts = alerts
        self._rules = rules
        self._channels = channels
        self._clock = clock
        self._why = why
        self._last = last
        self._since_s: float | None = None
        self._mine: dict[str, Alert] = {}
        """Rule → the alert that this master tells, with the channels that it still owes."""
        self._unstored: set[str] = set()
        """The rules whose alert etcd did not take."""

    def start(self, supervisor: Supervisor) -> None:
        """Watch until the supervisor stops."""
        supervisor.spawn("leaderless", self._run, on_end=OnEnd.RESTART)

    def _run(self) -> None:
        while True:
            try:
                self._check()
            except CrawlerError as error:
                log.debug("the alert about no leader waits", error=str(error))
            self._clock.sleep(self._channels.settings.check_s)

    def _check(self) -> None:
        why = self._why()
        if not why:
            self._led()
            return
        now_s = self._clock.monotonic()
        if self._since_s is None:
            self._since_s = now_s
        for rule in self._rules.all(self._alerts.rules()).values():
            if rule.when is When.NO_LEADER and now_s - self._since_s >= rule.patience_s:
                self._tell(rule, why)

    def _led(self) -> None:
        """Somebody leads again. What etcd did not take, it takes now: the leader tells the end."""
        self._since_s = None
        for name in list(self._unstored):
            mine = self._mine[name]
            known = self._alerts.found().get(mine.key)
            if known is None or known.id != mine.id:  # otherwise another master was faster
                revision = known.mod_revision if known else 0
                self._alerts.put_alone(replace(mine, owed=(), mod_revision=revision))
            self._unstored.discard(name)
        self._mine.clear()

    def _tell(self, rule: AlertRule, why: str) -> None:
        if rule.name not in self._mine:
            self._claim(rule, why)
        mine = self._mine.get(rule.name)
        if mine is None:
            return
        for channel in mine.owed:
            note = ALONE if rule.name in self._unstored else ""
            try:
                self._channels.send(channel, self._channels.message([mine], note=note))
            except Unsent as error:
                log.warning("a channel was not told of it", channel=channel, error=str(error))
                continue
            self._mine[rule.name] = self._noted(rule.name, self._mine[rule.name].told(channel))

    def _claim(self, rule: AlertRule, why: str) -> None:
        """Store the alert, if nobody has. Whoever does tells the channels."""
        channels = self._rules.channels_of(rule)
        mark, now_ns = f"after {self._last()}", self._clock.time_ns()
        made = Alert(rule.name, rule.when, CLUSTER, mark, why, now_ns, owed=channels)
        known = self._alerts.found().get(made.key)
        if known is not None and known.mark == mark:
            return
        revision = known.mod_revision if known else 0
        try:
            stored = self._alerts.put_alone(replace(made, mod_revision=revision))
        except CrawlerError:
            self._unstored.add(rule.name)
            stored = made
        if stored is not None:
            self._mine[rule.name] = stored
            log.error("nobody leads", rule=rule.name, why=why)

    def _noted(self, name: str, alert: Alert) -> Alert:
        """Store which channels were told. If etcd does not take it, the next leader tells that it
        is over all the same."""
        if name in self._unstored:
            return alert
        try:
            return self._alerts.put_alone(alert) or alert
        except CrawlerError as error:
            log.debug("not noted that a channel was told", error=str(error))
            return alert
