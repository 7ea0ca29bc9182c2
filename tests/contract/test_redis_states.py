"""All crawls in one Redis: listed and removed, and the server looked at before a worker begins."""

import json
import re
import time
from array import array

import pytest
from click.testing import CliRunner

from crawler.cli.base import Unusable, commands
from crawler.engine.frontier import redis_check
from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_run import keys_of
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.frontier.redis_states import RedisStates
from crawler.engine.frontier.shared_store import Exchange, Offer
from crawler.engine.frontier.store import Step, StoreDamaged, StoreInUse, Waiting
from crawler.engine.politeness import redis_host_functions, redis_host_register
from crawler.engine.politeness.host_register import Return, Told, Want
from crawler.engine.politeness.robots_shelf import RedisRobotsShelf, Robotstxt
from crawler.errors import ConfigError
from crawler.local.ports import free_ports
from crawler.node.run import kept
from crawler.settings.redis_url import parsed
from crawler.settings.worker import FrontierSettings
from tests.redis_servers import Redis
from tests.source import ROOT


@pytest.fixture
def states(shared_redis):
    made = RedisStates.of(FrontierSettings(url=shared_redis.url))
    yield made
    made.close()


def waiting(id):
    return Waiting(id, "http://h", 0, b'["x"]')


def test_what_is_kept_is_listed_by_name(states):
    for name in ("list/b {x}", "list/a", "other"):
        store = states(name)
        store.open(7)
        counters = json.dumps({"pages": 3})
        added = [waiting(0), waiting(1), waiting(2)]
        store.write(Step(added=added, marks=array("Q", [1, 2]), state={"counters": counters}))
        store.write(Step(ended=[0], changed=[waiting(1)]))
        if name != "list/a":
            store.close()
    a, b = states.all("list/")
    assert (a.name, b.name) == ("list/a", "list/b {x}")
    assert (a.epoch, a.waiting, a.counters) == (7, 2, {"pages": 3})
    assert (a.is_in_use, b.is_in_use) == (True, False)
    assert 200 < a.bytes < 10_000
    assert a.unused_s < 60
    with pytest.raises(StoreInUse, match=r"list/a.* is in use"):
        states.clear("list/a")
    store = states("list/a")
    store.open(8)
    store.close()
    for name in ("list/a", "list/b {x}", "other"):
        states.clear(name)
        assert not states.all(name)


@pytest.mark.parametrize("counted", [b"{", b"\xff", b"7", b"[1]", b""])
def test_a_crawl_whose_counts_cannot_be_read_is_listed_and_removed_as_others_are(
    states, shared_redis, counted
):
    name = f"odd {counted.hex()}/77"
    store = states(name)
    store.open(3)
    store.write(Step(added=[waiting(0)], state={"counters": "{}"}))
    store.close()
    with shared_redis.client() as client:
        client.hset(keys_of(name, 0)["state"], "counters", counted)
    [told] = states.all(name)
    assert (told.waiting, told.counters) == (1, {})
    states.clear(name)
    assert not states.all(name)


def called(*arguments, url):
    done = CliRunner().invoke(
        commands, ["frontier", *arguments], standalone_mode=False, env={"CRAWLER_FRONTIER_URL": url}
    )
    return done.return_value or 0, done.output


def test_the_command_lists_and_removes_what_all_workers_keep(states, shared_redis):
    store = states("toys & more/77")
    store.open(3)
    store.write(Step(added=[waiting(0)], state={"counters": json.dumps({"pages": 12})}))
    status, said = called("list", "--json", url=shared_redis.url)
    [told] = [each for each in map(json.loads, said.splitlines()) if each["id"] == "77"]
    assert status == 0
    assert (told["task"], told["pages"], told["to_go"]) == ("toys & more", 12, 1)
    status, said = called("clear", "toys & more", url=shared_redis.url)
    assert status == 1
    assert "toys & more (77-3) is in use by a process" in said
    store.close()
    status, said = called("clear", "toys & more", url=shared_redis.url)
    assert status == 0
    assert "toys & more (77-3) is removed: 12 pages done" in said
    assert not states.all("toys & more")


def test_the_command_says_that_redis_does_not_answer(monkeypatch):
    monkeypatch.setattr(kept, "ASK_S", 0.0)
    [port] = free_ports(1)
    with pytest.raises(Unusable, match=rf"redis://127.0.0.1:{port}/0 has not answered"):
        CliRunner().invoke(
            commands,
            ["frontier", "list"],
            standalone_mode=False,
            catch_exceptions=False,
            env={"CRAWLER_FRONTIER_URL": f"redis://127.0.0.1:{port}/0"},
        )


def info(**changed):
    usual = {
        "redis_version": "7.0.15",
        "role": "master",
        "maxmemory_policy": "noeviction",
        "aof_enabled": 1,
        "connected_slaves": 0,
        "aof_last_write_status": "ok",
    }
    return {**usual, **changed}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"redis_version": "6.2.1"}, "it is Redis 6.2.1; version 7.0 or later is needed"),
        ({"role": "slave"}, "it is a replica, which takes no writes; name its primary"),
        ({"maxmemory_policy": "allkeys-lru"}, "set maxmemory-policy to noeviction"),
        ({"maxmemory_policy": "volatile-ttl"}, "set maxmemory-policy to noeviction"),
        ({"aof_enabled": 0}, "set appendonly to yes, or give it a replica"),
    ],
)
def test_a_server_that_could_lose_a_crawl_is_refused(changed, told):
    [fault] = redis_check._faults(info(**changed))
    assert told in fault


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"aof_enabled": 0, "connected_slaves": 1}, "appendonly is no"),
        ({"aof_last_write_status": "err"}, "it cannot write its log"),
        ({"set-max-intset-entries": "511"}, "set it to 512"),
    ],
)
def test_what_could_be_safer_is_only_logged(changed, told):
    assert not list(redis_check._faults(info(**changed)))
    [warning] = redis_check._warnings(info(**changed))
    assert told in warning


def test_a_usual_server_is_accepted_in_silence(states, caplog):
    assert states.check()
    assert not [each for each in caplog.records if each.name == redis_check.__name__]


@pytest.fixture
def redis_with():
    """Makes a Redis with these options."""
    made = []

    def begin(*options):
        made.append(Redis(*options))
        made[0].start()
        return made[0]

    yield begin
    made[0].remove()


def test_a_real_server_is_refused_that_keeps_nothing(redis_with):
    redis = redis_with("--appendonly no", "--maxmemory-policy allkeys-lru")
    states = RedisStates.of(FrontierSettings(url=redis.url))
    with pytest.raises(ConfigError, match=r"frontier.url: redis://.*allkeys-lru.*appendonly"):
        states.check()
    states.close()


def test_a_wrong_password_is_told_at_once_and_not_shown(redis_with):
    redis = redis_with("--requirepass open-sesame")
    for settings in (
        FrontierSettings(url=redis.url, password="wrong-one"),
        FrontierSettings(url=redis.url.replace("//", "//me:wrong-one@")),
        FrontierSettings(url=redis.url),
    ):
        states = RedisStates.of(settings)
        began_s = time.monotonic()
        with pytest.raises(ConfigError, match="look at the user and the password") as told:
            states.check()
        assert time.monotonic() - began_s < 20
        assert "wrong-one" not in str(told.value)
        states.close()
    states = RedisStates.of(FrontierSettings(url=redis.url, password="open-sesame"))
    states.check()
    store = states("task")
    store.open()
    assert "open-sesame" not in store.place
    store.clear()
    states.close()


def test_a_server_that_does_not_answer_is_no_fault_and_says_why():
    [port] = free_ports(1)
    server = RedisServer(Access(parsed(f"redis://127.0.0.1:{port}")))
    assert not redis_check.check(server)
    server.close()
    assert "Redis does not answer" in server.silence


def test_the_rights_that_the_documentation_names_are_enough(redis_with):
    redis = redis_with()
    text = (ROOT / "docs" / "crawling-on.md").read_text()
    rights = re.findall(r"[+][a-z|&]+", text.partition("or at least")[2].partition("\n\n")[0])
    with redis.client() as client:
        client.execute_command("ACL", "SETUSER", "me", "on", ">pass", "~crawler:*", *rights)
    states = RedisStates.of(FrontierSettings(url=redis.url.replace("//", "//me:pass@")))
    states.check()
    shared = [states.shard("shared", number, "it", lambda *_: None) for number in range(2)]
    for store in shared:
        store.open()
    offers = [Offer(number, "http://h", number, b"[1]") for number in range(1, 300)]
    for store in shared:
        store.exchange(Step(), Exchange(offers, wants=1))
    shared[1].close()
    assert states.shard("shared", 1, "it", lambda *_: None).give_away(1e-6) is not None
    for state in states.all("shared"):
        assert state.shards == 2
    shared[0].clear()
    for is_clean in (True, False):
        store = states("task")
        store.open()
        store.sending(1)
        store.write(Step(added=[waiting(0)], marks=array("Q", [1]), state={"a": "1"}))
        store.write(Step(changed=[waiting(0)], starts=array("Q", [1]), rests={}))
        store.lease(10)
        store.tally(len)
        store.close(is_clean)
    with redis.client() as client:
        client.delete(keys_of("task")["rows"], keys_of("task")["live"])
        client.hset(keys_of("task")["run"], "sizes", "[1, 0]")
    with pytest.raises(StoreDamaged):
        states("task").open()
    store = states("task")
    store.open()
    store.write(Step(added=[waiting(0)], ended=[0]))
    store.close()
    assert [each.name for each in states.all()] == ["task"]
    states.clear("task")
    states.close()
    url = parsed(redis.url.replace("//", "//me:pass@").removesuffix("/0") + "/1")
    server = RedisServer(Access(url), libraries=[redis_host_functions.CODE])
    register = redis_host_register.RedisHostRegister(server)
    register.tell("a", Told(wants=[Want("h", 1.0), Want("i", 1.0)]))
    register.tell("b", Told(wants=[Want("h", 1.0)]))
    register.tell("a", Told(returns=[Return("h", 0.0)], holds=[Want("i", 2.0)]))
    assert register.tell("b", Told(leaves=["i"])).granted
    shelf = RedisRobotsShelf(server)
    assert shelf.claim("site")
    shelf.put("site", Robotstxt(200, b"x", 60.0))
    assert shelf.get("site")
    shelf.give_up("site")
    assert shelf.claim("site")
    server.close()
