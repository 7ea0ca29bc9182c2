"""A guard's process as its node has it: whom it kills, when it ends, and that there is one."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import gevent
import pytest

from crawler.clock import SystemClock
from crawler.node.guard import messages, page
from crawler.node.guard.guard import NoGuard, guard_of
from crawler.node.guard.killing import is_gone
from crawler.settings.sections import EtcdSettings, NodeSettings, Settings
from crawler.supervision import Supervisor
from tests.guards import guard_of as found_guard_of
from tests.waiting import eventually

SLEEPS = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]
HAS_CHILD = [
    *SLEEPS[:-1],
    "import os, sys, time\nif os.fork() == 0: print(os.getpid(), flush=True)\ntime.sleep(600)",
]
TTL_S = 5.0


class Crawling:
    """A stand-in for a crawl process."""

    def __init__(self, argv=SLEEPS, **options):
        self.process = subprocess.Popen(argv, process_group=0, **options)
        self.pid = self.process.pid
        self.pidfd = os.pidfd_open(self.pid)

    @property
    def gone(self):
        return is_gone(self.pidfd)

    def die(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.die()
        os.close(self.pidfd)
        if self.process.stdout:
            self.process.stdout.close()


@pytest.fixture
def guard():
    """The guard of this very process."""
    supervisor = Supervisor("test")
    made = guard_of(Settings(), SystemClock())
    made.start(supervisor)
    yield made
    supervisor.stop()
    made.stop()


@pytest.fixture
def crawling():
    made = Crawling()
    yield made
    made.end()


def over_for(guard, seconds):
    """Have the lease be over for so long."""
    guard.deadline(SystemClock().monotonic() - seconds)


@pytest.fixture
def other():
    made = Crawling()
    yield made
    made.end()


def pidfds():
    """How many processes the guard of this one watches, this one included."""
    files = Path(f"/proc/{found_guard_of(os.getpid())}/fd")
    return sum("pidfd" in os.readlink(each) for each in files.iterdir())


def in_s(seconds):
    return SystemClock().monotonic() + seconds


def test_a_crawl_process_is_killed_when_the_lease_is_over(guard, crawling):
    guard.hold(7, TTL_S)
    guard.deadline(in_s(3600))
    guard.watch(1, crawling.pidfd, crawling.pid)
    assert not crawling.gone
    guard.deadline(in_s(-1))
    eventually(lambda: crawling.gone, what="the guard kills it")


def test_who_is_forgotten_is_spared_and_watched_again_is_not(guard, crawling, other):
    guard.hold(7, TTL_S)
    guard.watch(1, crawling.pidfd, crawling.pid)
    guard.watch(2, other.pidfd, other.pid)
    before = eventually(lambda: (seen := pidfds()) >= 3 and seen, what="it watches both")
    guard.forget(1)
    guard.forget(1)
    eventually(lambda: pidfds() < before, what="it has heard that")
    guard.deadline(in_s(-1))
    eventually(lambda: other.gone, what="the other one is killed")
    assert not crawling.gone
    guard.release()
    guard.hold(8, TTL_S)
    guard.deadline(in_s(-1))
    guard.watch(3, crawling.pidfd, crawling.pid)
    eventually(lambda: crawling.gone, what="it is killed under its new number")


def test_what_a_crawl_process_has_started_is_killed_with_it(guard):
    parent = Crawling(HAS_CHILD, stdout=subprocess.PIPE)
    child = os.pidfd_open(int(parent.process.stdout.readline()))
    guard.hold(7, TTL_S)
    guard.watch(1, parent.pidfd, parent.pid)
    guard.deadline(in_s(-1))
    eventually(lambda: parent.gone and is_gone(child), what="both are killed")
    os.close(child)
    parent.end()


def test_what_is_left_of_the_group_of_a_process_that_is_gone_is_killed(guard):
    """The pidfd reaches it though nobody has the number any more."""
    parent = Crawling(HAS_CHILD, stdout=subprocess.PIPE)
    child = os.pidfd_open(int(parent.process.stdout.readline()))
    parent.process.kill()
    parent.process.wait()
    guard.hold(7, TTL_S)
    guard.watch(1, parent.pidfd, parent.pid)
    guard.deadline(in_s(-1))
    eventually(lambda: is_gone(child), what="the child is killed")
    os.close(child)
    parent.end()


def test_a_guard_that_is_killed_is_followed_by_one_that_knows_all(guard, crawling):
    guard.hold(7, TTL_S)
    guard.watch(1, crawling.pidfd, crawling.pid)
    first = eventually(lambda: guard.pid)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: guard.pid not in (None, first), what="another one runs")
    assert not crawling.gone
    guard.deadline(in_s(-1))
    eventually(lambda: crawling.gone, what="it kills what the first one was told of")


def test_there_may_be_more_crawl_processes_than_a_socket_takes_at_once(guard, crawling):
    guard.hold(7, TTL_S)
    for number in range(1500):
        guard.watch(number, crawling.pidfd, 0)
        if number % 100 == 0:
            gevent.sleep(0.01)  # nobody starts so many at once
    first = eventually(lambda: guard.pid)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: guard.pid not in (None, first), what="another one runs")
    second = guard.pid
    last = Crawling()
    guard.watch(1, last.pidfd, last.pid)
    guard.deadline(in_s(-1))
    eventually(lambda: last.gone and crawling.gone, what="it has heard of all")
    assert guard.pid == second
    last.end()


def test_a_guard_that_reads_nothing_is_replaced(guard, crawling):
    first = eventually(lambda: guard.pid)
    os.kill(first, signal.SIGSTOP)
    for lease in range(2_000):
        guard.hold(lease, TTL_S)
    eventually(lambda: guard.pid not in (None, first), what="another one runs")
    guard.watch(1, crawling.pidfd, crawling.pid)
    guard.deadline(in_s(-1))
    eventually(lambda: crawling.gone, what="it does its duty")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_signals_that_end_a_node_do_not_end_its_guard(guard, crawling, number):
    guard.hold(7, TTL_S)
    first = eventually(lambda: guard.pid)
    eventually(lambda: ignores(first, number), what="it has begun")
    os.kill(first, number)
    guard.watch(1, crawling.pidfd, crawling.pid)
    guard.deadline(in_s(-1))
    eventually(lambda: crawling.gone, what="it does its duty")
    assert guard.pid == first


def ignores(pid, number):
    """Whether a process ignores a signal, by the kernel's word."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(line for line in lines if line.startswith("SigIgn"))
    return int(mask.split()[1], 16) >> (number - 1) & 1


def test_it_has_a_session_of_its_own_and_no_password_where_others_may_look():
    settings = Settings(etcd=EtcdSettings(user="me", password="open-sesame"))
    supervisor = Supervisor("test")
    os.environ["CRAWLER_ETCD_PASSWORD"] = "open-sesame"
    try:
        made = guard_of(settings, SystemClock())
        made.start(supervisor)
        eventually(lambda: made.pid and ignores(made.pid, signal.SIGINT), what="it has begun")
        assert os.getsid(made.pid) == made.pid
        for name in ("environ", "cmdline"):
            assert b"sesame" not in Path(f"/proc/{made.pid}/{name}").read_bytes()
    finally:
        del os.environ["CRAWLER_ETCD_PASSWORD"]
        supervisor.stop()
        made.stop()


def test_it_goes_when_its_node_stops_in_order(guard):
    ended = os.pidfd_open(guard.pid)
    guard.stop()
    assert is_gone(ended)
    os.close(ended)
    guard.stop()
    guard.deadline(1.0)  # a native thread may be late


def test_a_node_may_have_none(caplog):
    assert isinstance(guard_of(Settings(node=NodeSettings(guard=False)), SystemClock()), NoGuard)
    assert not caplog.records


def test_where_there_can_be_none_the_log_says_so_once(monkeypatch, caplog, crawling):
    def refuse(pid):
        raise OSError(38, "Function not implemented")

    made = guard_of(Settings(), SystemClock())
    with monkeypatch.context() as changed:
        changed.setattr(os, "pidfd_open", refuse)
        supervisor = Supervisor("test")
        made.start(supervisor)
    assert supervisor.count == 0
    made.hold(7, TTL_S)
    made.watch(1, crawling.pidfd, crawling.pid)
    made.deadline(in_s(-1))
    made.forget(1)
    made.release()
    made.stop()
    assert len(caplog.records) == 1
    assert "no guard" in caplog.text


def test_only_its_maker_can_write_the_page():
    made = page.Page.make()
    with pytest.raises(PermissionError):
        page.Page(made.fd, writes=True)
    read = page.Page(made.fd, writes=False)
    made.deadline_s = 123.25
    assert read.deadline_s == 123.25
    with pytest.raises(TypeError):
        read.deadline_s = 1.0
    made.close()


def test_the_page_has_the_clock_of_leases():
    assert page.now.args == SystemClock.monotonic.args == (time.CLOCK_BOOTTIME,)


def test_the_process_imports_the_standard_library_alone():
    told = subprocess.run(
        [
            *(sys.executable, "-I", "-S", "-c"),
            "import sys; sys.path.append(sys.argv[1]); import crawler.node.guard.process;"
            "print(*sys.modules)",
            str(Path(__file__).parents[3]),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    ours = {name for name in told if name.startswith("crawler")}
    parts = ("process", "duty", "killing", "messages", "page", "revoking")
    room = "crawler.node.guard"
    assert ours == {"crawler", "crawler.node", room, *(f"{room}.{part}" for part in parts)}
    known = sys.stdlib_module_names
    assert not {name for name in told if name.split(".")[0] not in known} - ours - {"__main__"}
    assert not {"ssl", "http.client", "logging", "asyncio"} & set(told)


def test_a_message_arrives_with_its_descriptors_and_an_end_is_told():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    messages.send(ours, messages.HOLD, lease=7)
    made = page.Page.make()
    messages.send(ours, messages.WATCH, (made.fd, made.fd), those=[(1, 0)])
    ours.close()
    made.close()
    assert messages.receive(theirs) == ({"kind": messages.HOLD, "lease": 7}, [])
    body, fds = messages.receive(theirs)
    for fd in fds:
        os.close(fd)
    assert body == {"kind": messages.WATCH, "those": [[1, 0]]}
    assert len(fds) == 2
    assert messages.receive(theirs) is None
    theirs.close()
