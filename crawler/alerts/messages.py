"""Writes the messages of alerts: JSON for webhooks, Slack's JSON, and e-mail. Pure functions."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from crawler.model.alerts import Alert
from crawler.model.times import moment

MOST_ALERTS = 50
"""How many alerts a message has. The others follow in the next one."""
TEST = "test"
"""The rule of a message that only tests a channel, and what it watches for."""
MOST_TEXT = 500
"""How many characters of a text are told."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel is told at once."""

    title: str
    """What people call the cluster."""
    alerts: Sequence[Alert]
    time_ns: int
    more: int = 0
    """How many alerts wait for the next message."""
    dropped: int = 0
    """How many were not kept because too many fire."""
    note: str = ""
    """What else people should know."""
    is_test: bool = False
    """Whether somebody only tests the channel."""

    @property
    def id(self) -> str:
        """The id of the message. If it is sent again, it has the same."""
        parts = [f"{each.id} {each.fires}" for each in self.alerts]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def told_alert(alert: Alert, is_test: bool = False) -> dict[str, Any]:
    """Return an alert as the fields of a webhook. What is not known is left out."""
    found: dict[str, Any] = {
        "id": alert.id,
        "rule": alert.rule,
        "when": TEST if is_test else alert.when.value,
        "subject": alert.subject,
        "state": "firing" if alert.fires else "recovered",
        "text": alert.text,
        "labels": dict(alert.labels),
        "since": moment(alert.since_ns),
    }
    if not alert.fires:
        found |= {"recovered": moment(alert.recovered_ns), "recovery": alert.recovery}
    return found


def webhook_body(message: Message) -> bytes:
    """Return the body of a webhook: a JSON object in UTF-8."""
    found: dict[str, Any] = {
        "id": message.id,
        "title": message.title,
        "time": moment(message.time_ns),
        "alerts": [told_alert(each, message.is_test) for each in message.alerts],
        "more": message.more,
        "dropped": message.dropped,
        "note": message.note,
    }
    return json.dumps(found).encode()


def signature(key: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a body: HMAC-SHA256 of the timestamp, a dot and the body, in hex."""
    signed = timestamp.encode() + b"." + body
    return hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()


def slack_body(message: Message) -> bytes:
    """Return the body that Slack, and what understands the same, takes."""
    text = "\n".join(lines(message))
    for mark, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(mark, entity)
    return json.dumps({"text": text}).encode()


def mail(message: Message, sender: str, to: Sequence[str]) -> EmailMessage:
    """Return the mail."""
    found = EmailMessage()
    found["Subject"] = _line(subject(message))
    found["From"], found["To"] = sender, ", ".join(to)
    found["Message-ID"] = f"<{message.id}@crawler>"
    found["Auto-Submitted"] = "auto-generated"
    found.set_content("\n".join(lines(message)) + "\n")
    return found


def subject(message: Message) -> str:
    """Return what a message is about, in one line."""
    if len(message.alerts) == 1:
        return f"[{message.title}] {_told(message.alerts[0])}"
    firing = sum(each.fires for each in message.alerts)
    return f"[{message.title}] {firing} firing, {len(message.alerts) - firing} recovered"


def lines(message: Message) -> Sequence[str]:
    """Return a message as lines for people."""
    found = [f"[{message.title}] {_told(each)}" for each in message.alerts]
    if message.more:
        found.append(f"{message.more} more follow in the next message")
    if message.dropped:
        found.append(f"{message.dropped} more were not kept: too many fire; see crawler alerts")
    return [*found, message.note] if message.note else found


def _told(alert: Alert) -> str:
    about = f"{alert.rule}: {alert.subject}: "
    if alert.fires:
        return f"FIRING {about}{_line(alert.text)}"
    since = moment(alert.since_ns)
    return f"RECOVERED {about}{_line(alert.recovery)} (since {since}: {_line(alert.text)})"


def _line(text: str) -> str:
    """Return a text as one line without control characters, and not too long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= MOST_TEXT else f"{line[:MOST_TEXT]}…"
