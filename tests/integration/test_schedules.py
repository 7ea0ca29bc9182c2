"""Schedules on a cluster: each firing happens once, whoever leads, and whatever is stored."""

import json
from dataclasses import replace

import pytest

from crawler.coordination.schedules import decode_schedule, encode_schedule
from crawler.coordination.store import Put
from crawler.errors import NotFound, OutcomeUnknown, Rejected
from crawler.model.records import Resource, Spec, State
from crawler.model.schedules import Overlap, ScheduleWish
from tests.clusters import CALL, KEYS, Cluster, Shared, Unreachable, request
from tests.waiting import eventually

WEEKLY = ScheduleWish("nightly", "0 0 * * 0", Spec("shop", "crawl", {"site": "a"}, {"team": "a"}))
"""Its next moment does not come within a test."""
EACH_SECOND = replace(WEEKLY, when="@every 1s", overlap=Overlap.REPLACE)


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path, ttl_s=5)
    yield cluster
    cluster.stop()


NEVER = Resource(Spec("never"))


def stored(cluster, name="nightly"):
    """The schedule as it is stored; None if there is none."""
    kv = cluster.store.get(KEYS.schedule(name))
    return kv and decode_schedule(KEYS, kv)


def due(schedule):
    """The bytes of a schedule whose last moment has come, and was not decided yet."""
    wish = replace(schedule.wish, catch_up_s=8 * 86_400.0)
    return encode_schedule(replace(schedule, decided_ns=1, created_ns=1, wish=wish))


def leader_of(cluster):
    found = [node for node in cluster.nodes if node._role.local_backend() is not None]
    return found[0] if found else None


def test_run_now_adds_the_task_and_then_begins_it_anew(cluster):
    cluster.master("1")
    client = cluster.client()
    client.add_schedule(WEEKLY, CALL)
    client.run_schedule("nightly", CALL)
    eventually(lambda: stored(cluster).outcome == "began task shop")
    assert cluster.resources()["shop"].spec == WEEKLY.task
    with pytest.raises(Rejected, match=r"'shop' still runs.*crawler again shop"):
        client.run_schedule("nightly", CALL)
    client.update_schedule(replace(WEEKLY, overlap=Overlap.REPLACE), CALL)
    client.run_schedule("nightly", CALL)
    eventually(lambda: cluster.resources()["shop"].generation == 1)


def test_it_fires_at_each_of_its_moments_until_it_is_paused(cluster):
    cluster.master("1")
    client = cluster.client()
    client.add_schedule(EACH_SECOND, CALL)
    eventually(lambda: "shop" in cluster.resources() and cluster.resources()["shop"].generation > 1)
    client.pause_schedule("nightly", CALL)
    eventually(lambda: stored(cluster).firing is None)
    found = cluster.resources()["shop"].generation
    assert stored(cluster).wish.paused
    assert client.schedule("nightly", CALL).next == ()
    client.add_schedule(replace(EACH_SECOND, name="other", task=Spec("witness")), CALL)
    eventually(lambda: cluster.resources().get("witness", NEVER).generation > 1)
    assert cluster.resources()["shop"].generation == found
    client.resume_schedule("nightly", CALL)
    eventually(lambda: cluster.resources()["shop"].generation > found)


def test_a_changed_specification_counts_from_the_next_run_on(cluster):
    cluster.master("1")
    client = cluster.client()
    client.add_schedule(replace(WEEKLY, overlap=Overlap.REPLACE), CALL)
    client.run_schedule("nightly", CALL)
    eventually(lambda: "shop" in cluster.resources())
    other = replace(WEEKLY, overlap=Overlap.REPLACE, task=replace(WEEKLY.task, priority=7))
    client.update_schedule(other, CALL)
    eventually(lambda: stored(cluster).firing is None)
    client.run_schedule("nightly", CALL)
    eventually(lambda: cluster.resources()["shop"].spec.priority == 7)
    assert cluster.resources()["shop"].generation == 1


def test_a_task_with_other_labels_may_be_of_others_and_stays_as_it_is(cluster):
    cluster.master("1")
    client = cluster.client()
    client.add(Spec("shop", labels={"team": "b"}), CALL)
    client.add_schedule(replace(WEEKLY, overlap=Overlap.REPLACE), CALL)
    client.run_schedule("nightly", CALL)
    eventually(lambda: stored(cluster).outcome.startswith("refused: task 'shop' exists with other"))
    assert cluster.resources()["shop"].generation == 0


def test_who_replaces_the_run_of_a_paused_task_hears_that_it_rests(cluster):
    cluster.master("1")
    client = cluster.client()
    client.add(WEEKLY.task, CALL, True)
    client.pause("shop", CALL)
    client.add_schedule(replace(WEEKLY, overlap=Overlap.REPLACE), CALL)
    client.run_schedule("nightly", CALL)
    told = "began task shop, which is paused: crawler resume shop"
    eventually(lambda: stored(cluster).outcome == told)


def test_each_moment_may_have_a_task_of_its_own(cluster):
    cluster.master("1")
    client = cluster.client()
    client.add_schedule(replace(EACH_SECOND, overlap=Overlap.ALLOW), CALL)
    eventually(lambda: len(cluster.resources()) >= 2)
    assert all(name.startswith("shop-20") for name in cluster.resources())


class Losing(Shared):
    """A store whose writer dies, or hears no answer, around one write."""

    def __init__(self, store, prefix, takes):
        super().__init__(store)
        self.prefix, self.takes = prefix, takes
        self.armed = False
        self.lost = 0

    def txn(self, compares, writes, reads=()):
        puts = [each for each in writes if isinstance(each, Put)]
        is_it = any(each.key.startswith(self.prefix) for each in puts)
        if self.armed and is_it:
            self.lost += 1
            if self.takes:
                self._store.txn(compares, writes, reads)
            raise OutcomeUnknown("the answer is lost")
        return self._store.txn(compares, writes, reads)


@pytest.mark.parametrize(
    "prefix", [KEYS.schedules, KEYS.resource("shop")], ids=["schedule", "task"]
)
@pytest.mark.parametrize("takes", [True, False], ids=["taken", "not taken"])
def test_a_leader_that_goes_in_the_middle_of_a_firing_loses_and_doubles_nothing(
    cluster, prefix, takes
):
    """From some write on the first leader hears nothing; then it stops, and another one leads."""
    broken = Losing(cluster.store, prefix, takes)
    first = cluster.master("1", store=broken)
    client = cluster.client()
    client.add_schedule(replace(WEEKLY, overlap=Overlap.REPLACE), CALL)
    client.run_schedule("nightly", CALL)
    eventually(lambda: stored(cluster).outcome == "began task shop")
    before = cluster.resources()["shop"].generation
    broken.armed = True
    cluster.store.txn([], [Put(KEYS.schedule("nightly"), due(stored(cluster)))])
    eventually(lambda: broken.lost)
    second = cluster.master("2")
    cluster.nodes.remove(first)
    first.stop()
    eventually(lambda: second._role.local_backend() is not None)
    eventually(lambda: stored(cluster).firing is None and stored(cluster).decided_ns > 1)
    assert cluster.resources()["shop"].generation == before + 1


def test_leaders_come_and_go_and_each_moment_fires_once(cluster):
    """One leader leaves, the next one loses the network at the moment of thirty schedules."""
    reach = Unreachable(cluster.store)
    first = cluster.master("1")
    client = cluster.client(cluster.master("2", store=reach))
    client.add_schedule(replace(EACH_SECOND, overlap=Overlap.ALLOW), CALL)
    eventually(lambda: len(cluster.resources()) >= 2)
    cluster.nodes.remove(first)
    first.stop()
    eventually(lambda: leader_of(cluster) is not None)
    third = cluster.master("3")
    singles = [f"single-{number}" for number in range(30)]
    for name in singles:
        client.add_schedule(replace(WEEKLY, name=name, task=Spec(name)), CALL)
    puts = [Put(KEYS.schedule(name), due(stored(cluster, name))) for name in singles]
    cluster.store.txn([], puts)
    eventually(lambda: any(name.startswith("single") for name in cluster.resources()))
    reach.cut = True
    eventually(lambda: third._role.local_backend() is not None)
    client = cluster.client(third)
    eventually(lambda: sum(name.startswith("single") for name in cluster.resources()) == 30)
    count = len(cluster.resources())
    eventually(lambda: len(cluster.resources()) >= count + 2)
    eventually(lambda: all(stored(cluster, name).firing is None for name in singles))
    assert all(each.generation == 0 for each in cluster.resources().values())
    reach.cut = False


def test_a_schedule_that_cannot_be_read_harms_no_other(cluster):
    bad = [b"", b"no JSON", b'{"When": "never"}', b'{"When": "@every 1s", "Task": {"Name": ""}}']
    bad += [b'{"When": 7}', json.dumps({"When": "0 0 31 2 *", "Task": {"Name": "x"}}).encode()]
    for number, value in enumerate(bad):
        cluster.store.txn([], [Put(KEYS.schedule(f"bad-{number}"), value)])
    cluster.master("1")
    client = cluster.client()
    client.add_schedule(EACH_SECOND, CALL)
    eventually(lambda: "shop" in cluster.resources())
    cluster.store.txn([], [Put(KEYS.schedule("bad-9"), b"\xff")])
    found = cluster.resources()["shop"].generation
    eventually(lambda: cluster.resources()["shop"].generation > found)
    assert [view.schedule.name for view in client.schedules(CALL)] == ["nightly"]


def test_a_queued_moment_begins_when_the_run_before_has_ended(cluster):
    cluster.master("1")
    client = cluster.client()
    client.add(WEEKLY.task, CALL, True)
    client.add_schedule(replace(EACH_SECOND, overlap=Overlap.QUEUE), CALL)
    eventually(lambda: stored(cluster).queued_ns)
    waits = stored(cluster).queued_ns
    kv = cluster.store.get(KEYS.resource("shop"))
    ended = {**json.loads(kv.value), "State": State.DONE.value}
    cluster.store.txn([], [Put(kv.key, json.dumps(ended).encode())])
    eventually(lambda: cluster.resources()["shop"].generation == 1)
    assert stored(cluster).fired_ns == waits


def test_over_http_a_schedule_comes_back_as_it_is_and_faults_name_the_field(cluster):
    node = cluster.master("1")
    cluster.client()
    wish = {"name": "nightly", "when": "30 3 * * *", "time_zone": "Europe/Berlin"}
    status, _, made = request(node, "POST", "/crawler/schedule", wish)
    assert status == 200
    assert (made["task"]["name"], made["overlap"], made["catchUpS"]) == ("nightly", "skip", 3600)
    assert len(made["next"]) == 5
    assert request(node, "POST", "/crawler/schedule", wish)[0] == 200
    assert request(node, "POST", "/crawler/schedule", {**wish, "jitter_s": 3})[0] == 409
    back = {key: value for key, value in made.items() if value}
    assert request(node, "PUT", "/crawler/schedule/nightly", back)[0] == 200
    for change, told in (
        ({"when": "99 * * * *"}, "when: '99 * * * *' is not allowed: Bad minute"),
        ({"when": "@at 2020-01-01T00:00"}, "when: '@at 2020-01-01T00:00' is never to come"),
        ({"time_zone": "Mars"}, "time_zone: 'Mars' is not allowed; allowed is a name of the IANA"),
        ({"overlap": "both"}, "overlap: 'both' is not allowed; allowed: skip, queue"),
        ({"jitter_s": -1}, "jitter_s: -1 is not allowed; allowed is a number from 0 to 86400"),
        ({"task": {"retries": -1}}, "task.retries: -1 is not allowed"),
        ({"task": 7}, "task: 7 is not allowed; allowed is a JSON object"),
    ):
        status, _, answer = request(
            node, "POST", "/crawler/schedule", {**wish, "name": "b", **change}
        )
        assert status == 400
        assert told in answer["message"]
    assert request(node, "DELETE", "/crawler/schedule/nightly")[0] == 200
    assert request(node, "GET", "/crawler/schedule/nightly")[0] == 404
    assert request(node, "GET", "/crawler/schedule")[2] == {"schedules": []}


def test_what_is_deleted_fires_no_more(cluster):
    cluster.master("1")
    client = cluster.client()
    client.add_schedule(EACH_SECOND, CALL)
    eventually(lambda: "shop" in cluster.resources())
    client.delete_schedule("nightly", CALL)
    with pytest.raises(NotFound, match="no schedule 'nightly'; `crawler schedule list`"):
        client.schedule("nightly", CALL)
    assert stored(cluster) is None
