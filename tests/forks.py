"""Real processes of the program that cost no start-up: each is a fork of one that has imported it.

Python and the imports take a second of processor for each process. Here one process pays it, and
then forks: what it forks has its own number, arguments, environment, folder, descriptors, signals
and end, as if it had been started by `python -m crawler`. How the program starts by itself is for
the few tests that start it so.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import gevent
from gevent.fileobject import FileObject

from crawler.local import cluster, die_with_parent
from crawler.local.processes import LocalProcess
from tests.waiting import eventually

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "crawler"]
"""What runs the program where it is not forked."""
SERVER = "TESTS_FORKS"
"""The environment variable by which a forked command has its own nodes forked too."""


class Forked:
    """One such process, as subprocess.Popen shows one."""

    def __init__(self, arguments, env, files, cwd=ROOT):
        """`files` become its standard input, output and errors."""
        self.returncode = None
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.connect(_server())
        asked = {"arguments": list(map(str, arguments)), "env": dict(env), "cwd": str(cwd)}
        socket.send_fds(self._line, [json.dumps(asked).encode()], [file.fileno() for file in files])
        self.pid = json.loads(self._line.recv(100))

    def poll(self):
        """How it ended, None while it runs."""
        if self.returncode is None and self._has_ended(0):
            self._note_end()
        return self.returncode

    def wait(self, timeout=None):
        """Wait until it has ended; raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not self._has_ended(timeout):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            self._note_end()
        return self.returncode

    def send_signal(self, number):
        """Signal it while it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _has_ended(self, timeout):
        """Whether it has, or does within so many seconds. A bench has more files open than `select`
        knows."""
        line = select.poll()
        line.register(self._line, select.POLLIN)
        return bool(line.poll(None if timeout is None else timeout * 1000))

    def _note_end(self):
        self.returncode = os.waitstatus_to_exitcode(json.loads(self._line.recv(100)))
        self._line.close()


class Piped(Forked):
    """A Forked whose output and errors are read here, as text. Use it as a context manager."""

    def __init__(self, arguments, env, cwd=ROOT, stderr=None):
        """`stderr` may be the descriptor of another place for its errors."""
        (mine, out), (mine_too, err) = os.pipe(), os.pipe()
        self.stdout, self.stderr = FileObject(mine, "r"), FileObject(mine_too, "r")
        with open(os.devnull) as nothing, open(out, "wb") as out, open(err, "wb") as err:
            files = nothing, out, err if stderr is None else FileObject(stderr, "wb", closefd=False)
            super().__init__(arguments, env, files, cwd)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.kill()  # its test has failed, and does not wait for it
        self.stdout.close()
        self.stderr.close()
        self.wait()

    def communicate(self, timeout=None):
        """All that it writes until it has ended; raises gevent.Timeout."""
        reading = [gevent.spawn(file.read) for file in (self.stdout, self.stderr)]
        with gevent.Timeout(timeout):
            told = [each.get() for each in reading]
            self.wait()
        return told


class ForkedProcess(LocalProcess):
    """A LocalProcess of `python -m crawler …` that is forked."""

    def __init__(self, *given, cwd=ROOT):
        super().__init__(*given)
        self._cwd = cwd

    def start(self):
        """Start it; does nothing when it runs."""
        if self.alive:
            return
        env = {**os.environ, **self._env}
        assert self._argv[:3] == COMMAND
        with self.log_path.open("ab") as log, open(os.devnull) as nothing:
            self._process = Forked(self._argv[3:], env, (nothing, log, log), self._cwd)


def run(arguments, *, cwd, env, timeout_s):
    """Run a command to its end, as subprocess.run does."""
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        open(os.devnull) as nothing,
    ):
        process = Forked(arguments, env, (nothing, out, err), cwd)
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            raise
        told = []
        for file in (out, err):
            file.seek(0)
            told.append(file.read().decode())
        return subprocess.CompletedProcess(arguments, status, *told)


def with_nodes():
    """The environment of a command that starts a local cluster, whose nodes are forked too."""
    return {SERVER: _server()}


def fork_nodes(path):
    """In such a command: fork its nodes, by the process that listens there."""
    global _path
    _path = path
    cluster.LocalProcess = ForkedProcess


_path = ""


def _server():
    """Where the process that forks listens; it is started when it is first needed, and goes on."""
    global _path
    if not _path:
        from tests import leaks  # and pytest, which a forked command does not need

        _path = f"{tempfile.mkdtemp(prefix='crawler-forks-')}/socket"
        with leaks.of_the_session():
            launcher = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
            command = [*launcher, sys.executable, "-m", "tests.forkserver", _path]
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
            eventually(lambda: os.path.exists(_path) or process.poll(), 60, "it listens")
        atexit.register(_end, process)
    return _path


def _end(process):
    process.kill()
    process.wait()
    with contextlib.suppress(OSError):
        os.unlink(_path)
        os.rmdir(os.path.dirname(_path))
