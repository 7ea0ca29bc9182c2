"""The section `alerts` of the settings: who is told of what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from crawler.model.alerts import MOST_FOR_S, MOST_LIMIT, AlertRule, When
from crawler.settings import forms
from crawler.settings.setting import setting

WEBHOOK, SLACK, EMAIL = "webhook", "slack", "email"
NEEDED = {WEBHOOK: ("url",), SLACK: ("url",), EMAIL: ("smtp", "sender", "to")}
"""What each kind of channel cannot do without."""


@dataclass(frozen=True, repr=False)
class Channel:
    """A way to tell people."""

    kind: str = setting(WEBHOOK, "How they are told.", one_of=(WEBHOOK, SLACK, EMAIL))
    url: str = setting("", "Where a webhook or Slack listens.", form=forms.WEB, secret=True)
    key: str = setting("", "Signs what a webhook gets.", secret=True)
    smtp: str = setting("", "The mail server, host:port.", form=forms.LISTEN)
    security: str = setting(
        "starttls", "How the mail server is spoken to.", one_of=("starttls", "tls", "none")
    )
    user: str = setting("", "Who signs in to the mail server.")
    password: str = setting("", "The password of that user.", secret=True)
    sender: str = setting("", "Whom a mail is from.", form=forms.MAIL)
    to: Sequence[str] = setting([], "Whom a mail goes to.", form=forms.MAIL)
    ca: str = setting("", "PEM file of the authority that signed the server's certificate.")

    def missing(self) -> Iterator[str]:
        """Yield the names of the fields that its kind needs and that are empty."""
        yield from (name for name in NEEDED[self.kind] if not getattr(self, name))


@dataclass(frozen=True, repr=False)
class RuleOfSettings:
    """A rule that stands in the settings."""

    name: str = setting("", "Its name.", form=forms.RULE)
    when: str = setting("failed", "What it watches for.", one_of=tuple(e.value for e in When))
    labels: Mapping[str, str] = setting({}, "Labels that a task must have.")
    channels: Sequence[str] = setting([], "Who is told; none means every channel.")
    limit: float = setting(
        0.0, "What is too much or too little; 0: the usual.", least=0, most=MOST_LIMIT
    )
    for_s: float = setting(
        0.0, "How long it must last; 0: as usual.", unit="s", least=0, most=MOST_FOR_S
    )

    def rule(self) -> AlertRule:
        """Return the rule."""
        return AlertRule(
            self.name, When(self.when), self.labels, tuple(self.channels), self.limit, self.for_s
        )


@dataclass(frozen=True, repr=False)
class AlertSettings:
    """Who is told when something is wrong, and of what."""

    channels: Mapping[str, Channel] = setting(
        {},
        "Channels by name: a webhook, Slack or e-mail. The same for all masters; see "
        "docs/alerts.md.",
        keys=forms.RULE,
        secret=True,
    )
    rules: Sequence[RuleOfSettings] = setting(
        [],
        "Rules: a list of name, when, labels, channels, limit and for_s; see docs/alerts.md.",
    )
    title: str = setting(
        "crawler", "What people call this cluster. Each message begins with it.", form=forms.LINE
    )
    pause_s: float = setting(
        10.0,
        "A channel gets at most one message in this time. A message has all alerts that wait.",
        unit="s",
        least=0,
        most=86_400,
    )
    timeout_s: float = setting(
        10.0, "Deadline for sending a message.", unit="s", least=0.1, most=300
    )
    check_s: float = setting(
        1.0, "How often the leader checks the rules.", unit="s", least=0.05, most=3600
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield the name of each setting that does not fit the others, and what is wrong."""
        for name, channel in self.channels.items():
            for field in channel.missing():
                yield f"channels[{name}].{field}", f"nothing given; {channel.kind} needs it"
            if channel.user and channel.security == "none":
                yield (
                    f"channels[{name}].security",
                    "none given, but user is too; starttls or tls is allowed with a user",
                )
        seen: set[str] = set()
        for number, rule in enumerate(self.rules):
            if not rule.name or rule.name in seen:
                told = "given twice; names are unique" if rule.name else "nothing given; a name is"
                yield f"rules[{number}].name", told + (" allowed" if not rule.name else "")
            seen.add(rule.name)
            for channel_name in rule.channels:
                if channel_name not in self.channels:
                    known = ", ".join(self.channels) or "none, as alerts.channels is empty"
                    yield f"rules[{number}].channels", f"{channel_name} given; allowed: {known}"
