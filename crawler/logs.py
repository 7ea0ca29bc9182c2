"""Writes logs: one JSON object a line (level, ts, logger, caller, msg, fields), or a readable line.

    log = get_logger(__name__)
    log.info("worker joined", node="go.micro.server.worker-2")

The message names an event. Values go into fields, so that one can search for them. No line has the
value of a secret that this process was given (`redaction.py`).
"""

from __future__ import annotations

import datetime
import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from crawler.redaction import hidden, hide

_RESERVED = ("level", "ts", "logger", "caller", "msg")
_UNTOLD = (*_RESERVED, "stack")
"""The parts of a line that people see in another way, or not at all."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_COLOURS = {"DEBUG": "\x1b[2m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31m"}


class Stream(Protocol):
    """A stream that takes log lines."""

    def write(self, text: str, /) -> Any:
        """Write a part of the text."""
        ...

    def flush(self) -> None:
        """Flush the text."""
        ...

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        ...


class Logger:
    """A standard library logger whose keyword arguments become fields of the line."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    @property
    def tells_developers(self) -> bool:
        """Whether `debug` writes lines. Check it where computing the fields costs too much."""
        return self._logger.isEnabledFor(logging.DEBUG)

    def debug(self, msg: str, **fields: Any) -> None:
        """Log something for developers of this program."""
        self._log(logging.DEBUG, msg, fields)

    def info(self, msg: str, **fields: Any) -> None:
        """Log something that an operator may want to know."""
        self._log(logging.INFO, msg, fields)

    def warning(self, msg: str, **fields: Any) -> None:
        """Log that something went wrong and is being handled."""
        self._log(logging.WARNING, msg, fields)

    def error(self, msg: str, **fields: Any) -> None:
        """Log that something went wrong and somebody should look at it."""
        self._log(logging.ERROR, msg, fields)

    def emergency(self, msg: str, **fields: Any) -> None:
        """Log an error from a native thread while the hub may be blocked.

        It takes no lock and never waits, so the line may stand in the middle of another.
        """
        self._log_beside(logging.ERROR, msg, fields)

    def warning_beside(self, msg: str, **fields: Any) -> None:
        """As `emergency`, but with level warning."""
        self._log_beside(logging.WARNING, msg, fields)

    def _log_beside(self, level: int, msg: str, fields: dict[str, Any]) -> None:
        logger = self._logger
        if logger.isEnabledFor(level):
            caller = sys._getframe(2)
            where = (caller.f_code.co_filename, caller.f_lineno)
            record = logger.makeRecord(logger.name, level, *where, msg, (), None)
            record.fields = fields
            for handler in logging.getLogger().handlers:
                _write_now(handler, record)

    def _log(self, level: int, msg: str, fields: dict[str, Any]) -> None:
        if not self._logger.isEnabledFor(level):
            return
        exc_info = fields.pop("exc_info", None)
        self._logger.log(
            level, "%s", msg, exc_info=exc_info, extra={"fields": fields}, stacklevel=3
        )


def get_logger(name: str) -> Logger:
    """The logger of a module."""
    return Logger(logging.getLogger(name))


def is_text(style: str, terminal: bool) -> bool:
    """Whether that style means readable lines."""
    return style == "text" or (style == "auto" and terminal)


def setup(
    level: str = "info",
    style: str = "auto",
    stream: Stream | None = None,
    terminal: bool | None = None,
) -> None:
    """Send all logs to `stream` (standard error by default).

    `style` is `json`, `text`, or `auto`: text on a terminal, JSON lines elsewhere. `terminal` says
    whether the stream leads to one, if the stream does not know.
    """
    stream = stream or sys.stderr
    terminal = stream.isatty() if terminal is None else terminal
    handler = logging.StreamHandler(stream)
    as_text = is_text(style, terminal)
    handler.setFormatter(TextFormatter(terminal) if as_text else JsonFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())


def _write_now(handler: logging.Handler, record: logging.LogRecord) -> None:
    """Write without the handler's lock, which a greenlet of the blocked hub may hold."""
    stream = getattr(handler, "stream", None)
    line = f"{handler.format(record)}\n"
    try:
        os.write(stream.fileno(), line.encode())  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):  # the handler has no file
        handler.emit(record)


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line of JSON. Values that JSON cannot represent become texts."""
        line: dict[str, Any] = {
            "level": record.levelname,
            "ts": _timestamp(record),
            "logger": record.name,
            "caller": f"{record.filename}:{record.lineno}",
            "msg": hide(record.getMessage()),
        }
        for key, value in _fields(record).items():
            line[f"{key}_" if key in _RESERVED else key] = hidden(value)
        if record.exc_info:
            line["stack"] = hide(self.formatException(record.exc_info))
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Formats a record as a line for people: time, level, event, then the fields."""

    def __init__(self, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """The record as a readable line, followed by the traceback if there is one."""
        clock = _timestamp(record)[11:23]
        fields = " ".join(f"{key}={hide(str(value))}" for key, value in _fields(record).items())
        line = f"{clock} {record.levelname:<7} {hide(record.getMessage())} {fields}".rstrip()
        if self._colour and record.levelname in _COLOURS:
            line = f"{_COLOURS[record.levelname]}{line}\x1b[0m"
        if record.exc_info:
            line = f"{line}\n{hide(self.formatException(record.exc_info))}"
        return line


def text_of(line: Mapping[str, Any], colour: bool, *, day: bool = False) -> str:
    """Return a line of JSON as people read it, with the traceback below it. `day` adds the day.
    Spiders tell what pages have: no character of it controls a terminal."""
    moment = str(line.get("ts", ""))[:23].replace("T", " ")
    level = str(line.get("level", ""))
    said = {key: each for key, each in line.items() if key not in _UNTOLD}
    fields = " ".join(f"{key}={each}" for key, each in said.items())
    when = moment if day else moment[11:]
    text = harmless(f"{when} {level:<7} {line.get('msg', '')} {fields}".rstrip())
    if colour and level in _COLOURS:
        text = f"{_COLOURS[level]}{text}\x1b[0m"
    return f"{text}\n{harmless(str(line['stack']))}" if "stack" in line else text


def harmless(text: str) -> str:
    """Return a text in which characters that control a terminal are escaped, but for line breaks
    and tabs."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.datetime.fromtimestamp(record.created).astimezone()
    return moment.isoformat(timespec="milliseconds")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """The fields of a line. Their names are ours, and nothing is hidden there; a spider may have
    made others of a value."""
    fields: dict[str, Any] = getattr(record, "fields", {})
    return {key if str(key).isidentifier() else hide(str(key)): fields[key] for key in fields}
