"""Names are looked up once for all who ask, and kept for a while."""

import gevent
import pytest
from gevent import monkey

from crawler.clock import ManualClock, settle
from crawler.engine.download.dns import FAILURE_KEPT_S, Resolver, is_numeric
from crawler.supervision import Supervisor
from tests.waiting import eventually


class Names:
    """A resolver that answers from a dict, and what it was asked."""

    def __init__(self, **known):
        self.clock = ManualClock()
        self.asked = []
        self.known = known
        self.found = []
        self.resolver = Resolver(Supervisor("test"), self.clock, self.look_up)

    def look_up(self, host, port):
        self.asked.append((host, port))
        if host not in self.known:
            raise OSError("no such name")
        return self.known[host]

    def ask(self, origin):
        wanted = len(self.found) + 1
        self.resolver.ask(origin, self.found.append)
        eventually(lambda: len(self.found) >= wanted)
        return self.found[-1]


@pytest.fixture
def names():
    names = Names(host=["10.0.0.1", "fd00::1"])
    yield names
    names.resolver.close()


def test_an_answer_is_kept_for_its_time(names):
    assert names.resolver.known("http://host", 60.0) is None
    assert names.ask("http://host").addresses == ["10.0.0.1", "fd00::1"]
    assert names.asked == [("host", 80)]
    assert names.resolver.known("http://host", 60.0).addresses == ["10.0.0.1", "fd00::1"]
    names.clock.advance(60.0)
    assert names.resolver.known("http://host", 60.0) is None
    assert names.resolver.known("http://host", 90.0) is not None


def test_a_failure_is_kept_for_a_shorter_one(names):
    assert "no such name" in names.ask("https://nobody:8443").error
    assert names.asked == [("nobody", 8443)]
    assert names.resolver.known("https://nobody:8443", 600.0).error
    names.clock.advance(FAILURE_KEPT_S)
    assert names.resolver.known("https://nobody:8443", 600.0) is None


def test_a_failure_prints_nothing(names, capfd):
    assert "no such name" in names.ask("http://nobody").error
    assert capfd.readouterr() == ("", "")


def test_all_who_ask_meanwhile_share_one_look_up(names):
    for _ in range(5):
        names.resolver.ask("https://host", names.found.append)
    eventually(lambda: len(names.found) == 5)
    assert names.asked == [("host", 443)]
    assert len({id(name) for name in names.found}) == 1


def test_an_address_is_not_looked_up(names):
    for origin in ("http://127.0.0.1", "http://[::1]:81"):
        name = names.ask(origin)
        assert not name.error
        assert not name.addresses
    assert names.asked == []
    assert not is_numeric("1e100.net")


def test_a_port_that_is_none_is_an_error(names):
    assert names.ask("http://host:99999").error
    gevent.sleep(0)
    settle()
    assert names.asked == []


def test_nobody_who_closes_it_waits_for_a_look_up_under_way():
    answer = monkey.get_original("threading", "Event")()
    resolver = Resolver(Supervisor("test"), ManualClock(), lambda host, port: answer.wait() and [])
    found = []
    resolver.ask("http://slow", found.append)
    settle()
    resolver.close()
    assert not found
    answer.set()
    eventually(lambda: found)
