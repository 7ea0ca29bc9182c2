"""Redis as it is run: with TLS and a password, as a cluster, behind Sentinel, with either log."""

import gc
import os
import time
from array import array
from uuid import uuid4

import gevent
import pytest

from crawler.engine.frontier import redis_check
from crawler.engine.frontier.redis_access import Access
from crawler.engine.frontier.redis_server import RedisServer
from crawler.engine.frontier.redis_states import RedisStates
from crawler.engine.frontier.store import Step, StoreLost, Waiting
from crawler.engine.politeness.host_register import RegisterAway, Told, Want
from crawler.engine.politeness.redis_host_functions import CODE
from crawler.engine.politeness.redis_host_register import AT_A_TIME, SLOTS, RedisHostRegister
from crawler.errors import ConfigError
from crawler.settings.redis_url import parsed
from crawler.settings.worker import FrontierSettings
from tests.contract import certificates
from tests.depth import deep
from tests.redis_servers import Cluster, Place, Redis, Sentinel, TlsRedis
from tests.waiting import eventually


def waiting(id):
    return Waiting(id, "http://h", 0, b'["x"]')


def step(id):
    return Step(added=[waiting(id)], marks=array("Q", [id + 1]), state={"last": str(id)})


def ids(store):
    return sorted(request.id for request in store.lease(1_000_000))


@pytest.fixture
def begun():
    """Starts servers, and removes them."""
    made = []

    def begin(server):
        made.append(server)
        server.start()
        return server

    yield begin
    for server in reversed(made):
        server.remove()


KINDS = ("redis", "rediss", "redis+sentinel", "redis+cluster")
PASSWORD = "open-sesame"


@pytest.fixture
def served(begun, tmp_path):
    """Makes a Redis of a kind, with a password where it can be: its settings, and a client of each
    server that takes writes."""

    def serve(kind):
        if kind == "redis+cluster":
            cluster = begun(Cluster())
            return {"url": cluster.url}, [server.client() for server in cluster.servers]
        if kind == "redis+sentinel":
            redis = begun(Redis())
            return {"url": begun(Sentinel(redis)).url}, [redis.client()]
        if kind == "redis":
            redis = begun(Redis(f"--requirepass {PASSWORD}"))
            return {"url": redis.url, "password": PASSWORD}, [redis.client(password=PASSWORD)]
        made = certificates.issue(tmp_path, "ours")
        redis = begun(TlsRedis(made, f"--requirepass {PASSWORD}"))
        files = {"ca": str(made.ca), "cert": str(made.cert), "key": str(made.key)}
        paths = zip(("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"), files.values(), strict=True)
        client = redis.client(password=PASSWORD, ssl=True, **dict(paths))
        url = redis.url.replace("//", f"//:{PASSWORD}@")
        return {"url": url, **files}, [client]

    return serve


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wrong_with_a_server_is_told_at_start_whatever_names_it(
    served, states_of, caplog, kind
):
    """The last server of a cluster is looked at, too."""
    settings, clients = served(kind)
    states, last = states_of(**settings), clients[-1]
    eventually(states.check)
    assert not [each for each in caplog.records if each.name == redis_check.__name__]
    for setting, wrong, told in (
        ("maxmemory-policy", "allkeys-lru", "set maxmemory-policy to noeviction"),
        ("appendonly", "no", "set appendonly to yes, or give it a replica"),
    ):
        [right] = last.config_get(setting).values()
        last.config_set(setting, wrong)
        with pytest.raises(ConfigError, match=told) as refused:
            eventually(states.check)
        assert str(refused.value).startswith(f"frontier.url: {kind}://")
        assert PASSWORD not in str(refused.value)
        last.config_set(setting, right)
    last.config_set("set-max-intset-entries", 128)
    eventually(states.check)
    [warned] = [each for each in caplog.records if each.name == redis_check.__name__]
    assert "set-max-intset-entries is 128" in warned.fields["why"]
    last.execute_command("ACL", "SETUSER", "default", "-function")
    with pytest.raises(ConfigError, match=r"refuses this user .*function\|load"):
        eventually(states_of(**settings).check)
    for client in clients:
        client.close()


@pytest.fixture
def states_of():
    """Makes the states in a Redis, and closes their connections."""
    made = []

    def make(url, **settings):
        made.append(RedisStates.of(FrontierSettings(url=url, **settings)))
        return made[-1]

    yield make
    for states in made:
        states.close()


def test_a_server_that_is_silent_costs_no_connection_to_the_others(begun, no_collection):
    """Whoever waits for Redis asks again and again, with another client each time."""
    cluster = begun(Cluster())
    states = RedisStates.of(FrontierSettings(url=cluster.url), ".", 0.2)
    cluster.servers[-1].freeze()
    assert not states.check()
    open_files = len(os.listdir("/proc/self/fd"))
    assert not states.check()
    assert len(os.listdir("/proc/self/fd")) == open_files
    cluster.servers[-1].thaw()
    states.close()


@pytest.fixture
def no_collection():
    """What is left to the collector stays."""
    gc.disable()
    yield
    gc.enable()


def test_tls_with_certificates_and_a_password(begun, states_of, tmp_path):
    ours, others = certificates.issue(tmp_path, "ours"), certificates.issue(tmp_path, "others")
    redis = begun(TlsRedis(ours, "--requirepass open-sesame"))
    files = {"ca": str(ours.ca), "cert": str(ours.cert), "key": str(ours.key)}
    states = states_of(redis.url, password="open-sesame", **files)
    states.check()
    store = states("task")
    store.open()
    store.write(step(0))
    store.close()
    store = states("task")
    assert store.open().waiting == 1
    store.close()
    with pytest.raises(ConfigError, match=r"frontier\.key: .* belongs to frontier\.cert"):
        states_of(redis.url, **files | {"key": str(others.key)})
    with pytest.raises(ConfigError, match="look at the user and the password"):
        eventually(states_of(redis.url, password="another", **files).check)
    wrong = states_of(redis.url, password="open-sesame", **files | {"ca": str(others.ca)})
    with pytest.raises(ConfigError, match=r"is not signed by frontier\.ca"):
        eventually(wrong.check)


@pytest.mark.parametrize("fsync", ["everysec", pytest.param("always", marks=deep)])
def test_nothing_that_was_acknowledged_is_lost_when_the_server_is_killed(begun, fsync):
    redis = begun(Redis(f"--appendfsync {fsync}"))
    place = Place(redis)
    store, written = place.again(), []
    store.open()

    def write():
        for id in range(100_000):
            store.write(step(id))
            written.append(id)

    writing = gevent.spawn(write)
    for times in range(1, 4):
        eventually(lambda times=times: len(written) > 200 * times)
        redis.kill()
        redis.start()
    eventually(lambda: len(written) > 800)
    writing.kill()
    store.close()
    again = place.again()
    found = again.open()
    assert ids(again)[: len(written)] == written
    assert found.waiting - len(written) in (0, 1), "the one that was under way may be there"
    again.close()
    place.server.close()


@pytest.mark.faults
def test_a_cluster_keeps_each_crawl_whole_on_one_of_its_servers(begun, states_of):
    cluster = begun(Cluster())
    states = states_of(cluster.url)
    states.check()
    names = [f"task/{number}" for number in range(12)]
    for name in names:
        store = states(name)
        store.open(1)
        for id in range(5):
            store.write(step(id))
        store.write(Step(ended=[0], state={"counters": '{"pages": 1}'}))
        store.close(is_clean=True)
    held = [_keys_of(server) for server in cluster.servers]
    assert all(held), "the crawls are spread"
    for keys in held:
        assert len(keys) % len({key.partition(b"}")[0] for key in keys}) == 0
    assert [(each.name, each.waiting) for each in states.all()] == [(n, 4) for n in sorted(names)]
    for name in names:
        store = states(name)
        found = store.open(2)
        assert (found.is_clean, ids(store), len(found.seen)) == (True, [1, 2, 3, 4], 5)
        store.clear()
    left = {key for server in cluster.servers for key in _keys_of(server)}
    assert all(key.endswith(b"}:run") for key in left)  # for a day: which run was the last one
    cluster.servers[1].kill()
    cluster.servers[1].start()
    eventually(cluster.is_up)
    for name in names:
        store = states(name)
        store.open(3)
        store.clear()


def _keys_of(server):
    with server.client() as client:
        return client.keys("*")


@pytest.mark.faults
def test_a_crawl_goes_on_at_the_server_that_takes_over(begun, states_of):
    primary, replica, states = _with_replica(begun, states_of)
    store = states("task")
    store.open(1)
    store.write(step(0))
    eventually(lambda: _has_all_of(replica, primary))
    primary.kill()
    began_s = time.monotonic()
    store.write(step(1))
    assert time.monotonic() - began_s < 60
    store.close()
    again = states("task")
    assert again.open(2).state == {"last": "1"}
    assert ids(again) == [0, 1]
    again.close()


@pytest.mark.faults
def test_a_run_notices_that_the_server_that_took_over_was_behind(begun, states_of):
    primary, replica, states = _with_replica(begun, states_of)
    store = states("task")
    store.open(1)
    store.write(step(0))
    eventually(lambda: _has_all_of(replica, primary))
    replica.freeze()
    with primary.client() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "replica")
    store.write(step(1))
    store.write(Step(ended=[0]))
    primary.kill()
    replica.thaw()
    with pytest.raises(StoreLost):
        store.write(step(2))
    store.close()
    again = states("task")
    assert again.open(2).state == {"last": "0"}
    assert ids(again) == [0], "an earlier whole moment"
    again.close()


def _with_replica(begun, states_of):
    """A server, its replica, and the states there. A Sentinel watches over both."""
    primary = begun(Redis())
    replica = begun(Redis(f"--replicaof 127.0.0.1 {primary.port}"))
    return primary, replica, states_of(_watched(begun, primary, replica))


def _watched(begun, primary, replica):
    """The URL of a Sentinel that knows both."""
    eventually(lambda: _info(replica)["master_link_status"] == "up")
    sentinel = begun(Sentinel(primary))
    with sentinel.client() as client:
        eventually(lambda: client.sentinel_master("crawls")["num-slaves"] == 1)
    return sentinel.url


def _has_all_of(replica, primary):
    return _info(replica)["master_repl_offset"] == _info(primary)["master_repl_offset"]


def _info(server):
    with server.client() as client:
        return client.info("replication")


def test_while_a_cluster_moves_a_slot_nobody_gets_a_host_that_another_has(begun):
    cluster = begun(Cluster())
    server = RedisServer(Access(parsed(cluster.url)), libraries=[CODE])
    register = RedisHostRegister(server, uuid4().hex, lease_s=30.0)

    def told(token, **news):
        answer = register.tell(token, Told(**news))
        return answer.is_valid and [grant.host for grant in answer.granted]

    assert told("a", wants=[Want("h", 1.0)]) == ["h"]
    with Move(cluster, "crawler:hosts:*") as move:
        move.take(":h:h")  # it has gone ahead; the tokens are still where they were
        with pytest.raises(RegisterAway):
            told("b", wants=[Want("h", 1.0)])
        move.take("")
        with pytest.raises(RegisterAway):
            told("b", wants=[Want("new", 1.0)])
    assert told("a", holds=[Want("h", 1.0)]) == []
    assert told("b", wants=[Want("h", 1.0), Want("new", 1.0)]) == [], "not all have told yet"
    server.close()


def test_many_slots_of_a_cluster_are_told_side_by_side(shared_redis):
    """Each answer takes a while, and all of them together hardly longer."""
    asked, most = set(), [0]

    class Slow(RedisServer):
        def call(self, function, keys, *args, is_patient=True):
            asked.add(keys[0])
            most[0] = max(most[0], len(asked))
            gevent.sleep(0.01)
            try:
                return super().call(function, keys, *args, is_patient=is_patient)
            finally:
                asked.discard(keys[0])

    server = Slow(Access(parsed(shared_redis.url)), libraries=[CODE])
    register = RedisHostRegister(server, uuid4().hex, SLOTS)
    hosts = {f"h{number}" for number in range(100)}
    answer = register.tell("a", Told(wants=[Want(host, 1.0) for host in hosts]))
    assert {grant.host for grant in answer.granted} == hosts
    assert most[0] == AT_A_TIME
    server.close()


class Move:
    """A slot that a cluster moves from one of its servers to another."""

    def __init__(self, cluster, keys):
        """The slot of the keys that match."""
        [self._source] = [each for each in cluster.servers if _found(each, keys)]
        self._target = next(each for each in cluster.servers if each is not self._source)
        self._keys = keys
        with self._source.client() as client:
            self._slot = client.cluster("keyslot", _found(self._source, keys)[0])
        self._ids = [self._id(each) for each in (self._source, self._target)]

    def __enter__(self):
        source, target = self._ids
        self._set_slot(self._target, "IMPORTING", source)
        self._set_slot(self._source, "MIGRATING", target)
        return self

    def __exit__(self, *_):
        for server in (self._target, self._source):
            self._set_slot(server, "NODE", self._ids[1])

    def take(self, end):
        """Let the keys go ahead whose names end so."""
        keys = [key for key in _found(self._source, self._keys) if key.endswith(end.encode())]
        with self._source.client() as client:
            client.migrate("127.0.0.1", self._target.port, keys, 0, 5000)

    def _set_slot(self, server, *about):
        with server.client() as client:
            client.execute_command("CLUSTER SETSLOT", self._slot, *about)

    @staticmethod
    def _id(server):
        with server.client() as client:
            return client.execute_command("CLUSTER MYID").decode()


def _found(server, pattern):
    with server.client() as client:
        return client.keys(pattern)
