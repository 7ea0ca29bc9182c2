"""Tells each channel what it is owed, one message after the other.

What is owed lies with the alerts, so nothing waits here, and nothing is lost with a process. An
alert counts as told when the channel has taken the message. If the process ends in between, the
next leader sends the message again, with the same ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from gevent.event import Event

from crawler.alerts.messages import MOST_ALERTS, TEST, Message
from crawler.alerts.sending import Unsent, send
from crawler.clock import Backoff, Clock
from crawler.logs import get_logger
from crawler.metrics import Metrics
from crawler.model.alerts import Alert, When
from crawler.settings.alerts import AlertSettings
from crawler.supervision import OnEnd, Supervisor

log = get_logger(__name__)

LOOK_S = 5.0
"""How often a channel looks whether it is owed something, without being woken."""
FIRST_RETRY_S = 1.0
MOST_RETRY_S = 300.0
TRIED_NS = 86_400 * 1_000_000_000
"""For how long it is tried to tell a channel of an alert."""


class Owed(Protocol):
    """Knows which alerts a channel is owed."""

    def owed(self, channel: str) -> Sequence[Alert]:
        """Return them, the oldest first."""
        ...

    def told(self, channel: str, alerts: Sequence[Alert]) -> None:
        """Note that the channel was told."""
        ...

    def take_dropped(self) -> int:
        """Return how many alerts were not kept since the last call."""
        ...


class Channels:
    """The channels of the settings."""

    def __init__(
        self, settings: AlertSettings, clock: Clock, metrics: Metrics | None = None
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._wakes = {name: Event() for name in settings.channels}
        metrics = metrics or Metrics()
        self._sent = metrics.counter(
            "crawler_alert_messages", "Messages about alerts that a channel took.", "channel"
        )
        self._failed = metrics.counter(
            "crawler_alert_failures", "Attempts to send a message that failed.", "channel"
        )
        self._given_up = metrics.counter(
            "crawler_alerts_given_up", "Alerts of which a channel could not be told.", "channel"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the channels."""
        return tuple(self.settings.channels)

    def start(self, supervisor: Supervisor, owed: Owed) -> None:
        """Tell the channels what they are owed until the supervisor stops."""
        for name in self.names:
            supervisor.spawn(f"channel {name}", self._serve, name, owed, on_end=OnEnd.RESTART)

    def wake(self) -> None:
        """Something may be owed."""
        for event in self._wakes.values():
            event.set()

    def test(self, channel: str) -> None:
        """Send a message that says that it is a test. Raises Unsent."""
        now_ns = self._clock.time_ns()
        alert = Alert(TEST, When.NO_LEADER, "cluster", str(now_ns), "this is a test", now_ns)
        message = self.message([alert], note="Somebody tests this channel.")
        self.send(channel, replace(message, is_test=True))

    def message(self, alerts: Sequence[Alert], dropped: int = 0, note: str = "") -> Message:
        """Return the message of alerts, as many as fit."""
        more = max(0, len(alerts) - MOST_ALERTS)
        now_ns = self._clock.time_ns()
        return Message(self.settings.title, alerts[:MOST_ALERTS], now_ns, more, dropped, note)

    def send(self, channel: str, message: Message) -> None:
        """Send a message. Raises Unsent."""
        try:
            settings = self.settings
            send(settings.channels[channel], message, settings.timeout_s, self._clock)
        except Unsent:
            self._failed.labels(channel).inc()
            raise
        self._sent.labels(channel).inc()

    def _serve(self, channel: str, owed: Owed) -> None:
        backoff = Backoff(FIRST_RETRY_S, MOST_RETRY_S)
        while True:
            self._wakes[channel].clear()
            alerts = owed.owed(channel)
            if not alerts:
                self._clock.wait(self._wakes[channel], LOOK_S)
                continue
            message = self.message(alerts, owed.take_dropped())
            try:
                self.send(channel, message)
            except Unsent as error:
                self._retry(channel, alerts, owed, error, backoff)
                continue
            if backoff.attempts:
                log.warning("a channel of alerts takes messages again", channel=channel)
            backoff.reset()
            owed.told(channel, message.alerts)
            self._clock.sleep(self.settings.pause_s)

    def _retry(
        self, channel: str, alerts: Sequence[Alert], owed: Owed, error: Unsent, backoff: Backoff
    ) -> None:
        """Wait before the next attempt. What has waited too long is given up."""
        if not backoff.attempts:
            log.error("a channel of alerts takes no message", channel=channel, error=str(error))
        now_ns = self._clock.time_ns()
        old = [a for a in alerts if now_ns - (a.recovered_ns or a.since_ns) > TRIED_NS]
        if old:
            self._given_up.labels(channel).inc(len(old))
            log.error("a channel was not told of alerts", channel=channel, alerts=len(old))
            owed.told(channel, old)
        self._clock.sleep(backoff.next_s())
