"""Starts and ends other processes of this program on the same machine.

A `LocalProcess` signals only the process that it started, and only until that process is reaped,
because until then the kernel gives its number to no other. The process dies with this one
(die_with_parent.py).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import gevent

from crawler.errors import ConfigError
from crawler.local import die_with_parent
from crawler.logs import get_logger

log = get_logger(__name__)

_KILL_DEADLINE_S = 5.0
_TAIL_BYTES = 65_536


class LocalProcess:
    """One process at a time, which can be started again after it ended.

    `env` is added to this process's environment. Output and errors are appended to the log.
    """

    def __init__(
        self, name: str, argv: Sequence[str], env: Mapping[str, str], log_path: Path
    ) -> None:
        self.name = name
        self.log_path = log_path
        self._argv = list(argv)
        self._env = dict(env)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its number while it runs, else None."""
        return self._process.pid if self._process is not None and self.alive else None

    @property
    def alive(self) -> bool:
        """Whether it runs or is paused."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs and before it was started."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it. Does nothing if it runs. Raises ConfigError if it cannot be started.

        Do not call it in a thread that ends before the process: the kernel takes the end of the
        thread that started a process for the death of the parent.
        """
        if self.alive:
            return
        launcher = [sys.executable, "-I", "-S", str(die_with_parent.__file__), str(os.getpid())]
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as output:
            starting = gevent.spawn(
                subprocess.Popen,
                [*launcher, *self._argv],
                env={**os.environ, **self._env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                self._process = starting.get()
            except OSError as error:
                raise ConfigError(f"cannot start {self.name}: {error}") from error
            except BaseException:  # an interrupt in between must not lose the process
                starting.join()
                self._process = starting.value
                raise
        log.debug("process started", process=self.name, pid=self.pid)

    def stop(self, deadline_s: float = 15.0) -> int | None:
        """Ask it to end, and kill it after the deadline. A node may take `node.drain_s` for its
        callbacks and 5 s for its last items. Return the exit code. It may be called
        again."""
        self.resume()  # a paused process would not see the request
        self._signal(signal.SIGTERM)
        if not self.wait(deadline_s):
            log.warning("process does not stop; killing it", process=self.name, pid=self.pid)
            self.kill()
        return self.exit_code

    def kill(self) -> None:
        """End it at once, without a chance to clean up, and wait until it is gone."""
        self._signal(signal.SIGKILL)
        self.wait(_KILL_DEADLINE_S)

    def pause(self) -> None:
        """Pause it, as a machine that swaps would. It keeps its connections."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run again after `pause`."""
        self._signal(signal.SIGCONT)

    def wait(self, timeout_s: float) -> bool:
        """Wait until it has ended, for at most `timeout_s` seconds. Return whether it has."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def tail(self, lines: int = 20) -> str:
        """Return the last lines that it wrote, for an error message."""
        try:
            with self.log_path.open("rb") as written:
                written.seek(max(0, self.log_path.stat().st_size - _TAIL_BYTES))
                text = written.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.alive:
            self._process.send_signal(number)
