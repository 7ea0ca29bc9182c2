"""Sends messages: over HTTP to webhooks and Slack, and by mail. Only this file knows the libraries
that do it, and it raises `Unsent` and nothing else.

The modules of the standard library wait in gevent's way, as a node has patched them.
"""

from __future__ import annotations

import http.client
import smtplib
import ssl
from urllib.parse import urlsplit

import gevent

from crawler.alerts import messages
from crawler.alerts.messages import Message
from crawler.clock import Clock
from crawler.settings.alerts import EMAIL, SLACK, Channel

MOST_ANSWER = 65_536
"""How much of an answer is read, in bytes."""
TIMESTAMP = "X-Crawler-Timestamp"
SIGNATURE = "X-Crawler-Signature"
ID = "X-Crawler-Id"
SMTP_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class Unsent(Exception):
    """A message was not taken. The text says why, without an address."""


def send(channel: Channel, message: Message, timeout_s: float, clock: Clock) -> None:
    """Send a message. It was taken when this returns. Raises Unsent."""
    limit = gevent.Timeout(timeout_s)
    try:
        with limit:
            if channel.kind == EMAIL:
                _mail(channel, message, timeout_s)
            else:
                _post(channel, message, timeout_s, clock)
    except gevent.Timeout as expired:
        if expired is not limit:
            raise
        raise Unsent(f"no answer within {timeout_s:g} s") from None
    except (OSError, http.client.HTTPException, smtplib.SMTPException, ValueError) as error:
        raise Unsent(f"{type(error).__name__}: {_told(error)}") from None


def _post(channel: Channel, message: Message, timeout_s: float, clock: Clock) -> None:
    is_slack = channel.kind == SLACK
    body = messages.slack_body(message) if is_slack else messages.webhook_body(message)
    headers = {"Content-Type": "application/json", "User-Agent": "crawler-alerts"}
    if not is_slack:
        headers |= _signed(channel.key, message, body, clock)
    url = urlsplit(channel.url)
    connection = _connection(channel, timeout_s)
    try:
        path = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read(MOST_ANSWER)
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise Unsent(f"the answer was {answer.status}; 200 to 299 means that it was taken")


def _signed(key: str, message: Message, body: bytes, clock: Clock) -> dict[str, str]:
    timestamp = str(clock.time_ns() // 1_000_000_000)
    found = {ID: message.id, TIMESTAMP: timestamp}
    if key:
        found[SIGNATURE] = f"sha256={messages.signature(key, timestamp, body)}"
    return found


def _connection(channel: Channel, timeout_s: float) -> http.client.HTTPConnection:
    url = urlsplit(channel.url)
    host = url.hostname or ""
    if url.scheme == "http":
        return http.client.HTTPConnection(host, url.port, timeout=timeout_s)
    tls = _tls(channel)
    return http.client.HTTPSConnection(host, url.port, timeout=timeout_s, context=tls)


def _mail(channel: Channel, message: Message, timeout_s: float) -> None:
    host, _, port = channel.smtp.rpartition(":")
    number = int(port) or SMTP_PORTS[channel.security]
    server: smtplib.SMTP
    if channel.security == "tls":
        server = smtplib.SMTP_SSL(host, number, timeout=timeout_s, context=_tls(channel))
    else:
        server = smtplib.SMTP(host, number, timeout=timeout_s)
    try:
        if channel.security == "starttls":
            server.starttls(context=_tls(channel))
        if channel.user:
            server.login(channel.user, channel.password)
        server.send_message(messages.mail(message, channel.sender, channel.to))
    finally:
        server.close()


def _tls(channel: Channel) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=channel.ca or None)


def _told(error: Exception) -> str:
    """Return why a message was not taken, in one line."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "the mail server refuses this user or its password"
    return " ".join(str(error).split())[:200] or "no reason is known"
