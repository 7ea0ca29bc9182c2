"""Two masters and two workers, started by hand: the split, the moves, the change of leader."""

import json
import re
import socket
import time

import pytest

from tests.depth import deep
from tests.integration.lab import FOUR, TASKS, terminate
from tests.waiting import PATIENCE_S, eventually

SNOWFLAKE_EPOCH_MS = 1_288_834_974_657


# -- what etcdctl shows ---------------------------------------------------------------------------


def test_etcdctl_shows_the_keys_of_the_interface_and_no_others(lab):
    found = lab.etcd.etcdctl("get", "/", "--prefix", "--keys-only").split()
    candidates = [key for key in found if key.startswith("/resources/election/")]
    registry = "/micro/registry/go.micro.server"
    assert sorted(set(found) - set(candidates)) == [
        "/crawler/access/nodes",
        "/crawler/snowflake",
        "/crawler/snowflake/cluster",
        f"{registry}.master/go.micro.server.master-1",
        f"{registry}.master/go.micro.server.master-2",
        f"{registry}.worker/go.micro.server.worker-1",
        f"{registry}.worker/go.micro.server.worker-2",
        *(f"/resources/{task}" for task in TASKS),
    ]
    assert len(candidates) == 2


def test_a_candidate_is_named_by_its_lease_and_tells_its_address(lab):
    answer = json.loads(lab.etcd.etcdctl("get", "/resources/election/", "--prefix", "-w=json"))
    stored = lab.store.range("/resources/election/").items
    assert len(answer["kvs"]) == 2
    for kv, same in zip(answer["kvs"], stored):
        assert same.key == f"/resources/election/{kv['lease']:x}"
    values = {kv.value.decode() for kv in stored}
    assert values == {lab["master-1"].candidate, lab["master-2"].candidate}
    assert all(re.fullmatch(r"master[12]-(\d+\.){3}\d+:\d+", value) for value in values)


@pytest.mark.parametrize("title", FOUR)
def test_a_registration_has_the_form_of_go_micro(lab, title):
    node = lab[title]
    service = f"go.micro.server.{node.role}"
    key = f"/micro/registry/{service}/{node.id}"
    value = json.loads(lab.etcd.etcdctl("get", key, "--print-value-only"))
    (entry,) = value.pop("nodes")
    assert list(value.items()) == [
        ("name", service),
        ("version", "latest"),
        ("metadata", None),
        ("endpoints", []),
    ]
    metadata = entry.pop("metadata")
    assert entry == {"id": node.id, "address": node.address}
    given = {"broker": "http", "protocol": "grpc", "registry": "etcd", "server": "grpc"}
    assert metadata.items() >= {**given, "transport": "grpc"}.items()
    assert all(isinstance(text, str) for text in metadata.values())


def test_a_resource_has_the_four_fields_of_the_interface_first(lab):
    ids = set()
    for task in TASKS:
        text = lab.etcd.etcdctl("get", f"/resources/{task}", "--print-value-only")
        value = json.loads(text)
        assert list(value)[:4] == ["ID", "Name", "AssignedNode", "CreationTime"]
        assert value["Name"] == task
        assert value["AssignedNode"] in {
            f"{lab[worker].id}|{lab[worker].address}" for worker in ("worker-1", "worker-2")
        }
        assert type(value["CreationTime"]) is int
        assert 0 < time.time_ns() - value["CreationTime"] < 120e9
        assert re.fullmatch(r"[1-9]\d{17,18}", value["ID"])
        ids.add(int(value["ID"]))
        minted_ms = (int(value["ID"]) >> 22) + SNOWFLAKE_EPOCH_MS
        assert abs(minted_ms - value["CreationTime"] / 1e6) < 60_000
    assert len(ids) == 5
    # Bits 12 to 21 are the master's number, which no other live master has.
    leader, follower = (number_of(lab, master) for master in lab.masters())
    assert {id >> 12 & 1023 for id in ids} == {leader}
    assert leader != follower


def test_the_address_told_to_others_is_one_of_this_machine_and_not_loopback(lab):
    nodes = json.loads(lab["master-1"].call("GET", "/crawler/node")[2])["nodes"]
    assert len(nodes) == 4
    for node in nodes:
        host, _, port = node["address"].partition(":")
        assert int(port) == lab[node["id"].removeprefix("go.micro.server.")].grpc
        assert host.startswith("127.") is not has_network()
        with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
            assert connection.getpeername()[0] == host


# -- placement ------------------------------------------------------------------------------------


def test_five_tasks_are_split_3_and_2_and_run_where_etcd_says(lab):
    owners = lab.running()
    assert sorted(map(list(owners.values()).count, ("worker-1", "worker-2"))) == [2, 3]
    since_s = time.monotonic()
    for task, worker in owners.items():
        eventually(lambda t=task: lab.site.crawlers(t, since_s), what=f"{task} is crawled")
        assert lab.site.crawlers(task, since_s) == {worker}


def test_a_stopped_worker_hands_its_tasks_over(lab):
    """How soon, `make failover` measures; nobody waits for the end of its lease, at any rate."""
    before = {task: lab.resource(task) for task in TASKS}
    started_s = terminate(lab["worker-1"].process)
    assert lab["worker-1"].process.wait(PATIENCE_S)
    assert lab.registered() == {*FOUR} - {"worker-1"}
    assert lab["worker-1"].process.exit_code == 0
    eventually(lambda: lab.all_on("worker-2"), what="all run on worker 2")
    for task, value in before.items():
        after = lab.resource(task)
        assert (after["ID"], after["CreationTime"]) == (value["ID"], value["CreationTime"])
        moved = "worker-1" in value["AssignedNode"]
        assert after["Epoch"] == value["Epoch"] + moved
        eventually(lambda t=task: "worker-2" in lab.site.crawlers(t, started_s))


@deep
def test_a_killed_worker_is_replaced(lab):
    lab["worker-1"].process.kill()
    eventually(lambda: lab.all_on("worker-2"), what="all run on worker 2")
    assert lab.registered() == {*FOUR} - {"worker-1"}


def test_a_worker_that_was_killed_comes_back_under_its_id(lab):
    """Its old registration is still there: it waits for that to end, and is another incarnation."""
    before = incarnation(lab, "worker-1")
    lab["worker-1"].process.kill()
    lab.start("worker-1")
    assert incarnation(lab, "worker-1") > before
    eventually(lambda: len(lab.running()) == 5, what="all tasks run again")


# -- change of the leader -------------------------------------------------------------------------


@pytest.mark.parametrize("how", [pytest.param("stopped", marks=deep), "killed"])
def test_when_the_leader_goes_the_other_leads_and_nothing_else_changes(lab, how):
    leader, other = lab.masters()
    before, pages, starts = lab.resources(), counted(other), dict(lab.site.starts)
    if how == "stopped":
        terminate(leader.process)
        assert leader.process.wait(PATIENCE_S)
        assert lab.leading() == other.candidate, "it has resigned"
    else:
        leader.process.kill()
        eventually(lambda: lab.leading() == other.candidate, what="the other leads")
    # The workers report to the new leader: it has read everything and placed what it had to.
    eventually(lambda: all(counted(other)[task] > pages[task] for task in TASKS))
    assert lab.resources() == before
    assert lab.site.starts == starts


def test_a_master_that_comes_back_follows(lab):
    leader, other = lab.masters()
    leader.process.stop()
    eventually(lambda: lab.leading() == other.candidate, what="the other leads")
    lab.start(f"master-{leader.name}")
    eventually(lambda: len(lab.keys("/resources/election/")) == 2, what="both stand")
    assert lab.leading() == other.candidate
    expected = {"id": other.candidate, "address": other.address}
    for master in (leader, other):
        eventually(lambda m=master: json.loads(m.call("GET", "/crawler/leader")[2]) == expected)


# -- what others write, and what is deleted -------------------------------------------------------


def test_a_resource_written_by_another_program_is_placed_and_run(lab):
    value = {"ID": "1602250527540776960", "Name": "foreign", "AssignedNode": ""}
    value |= {"CreationTime": 1670841268798763000, "Spider": "slow"}
    value |= {"Parameters": {"start_urls": [lab.site.url("foreign")]}}
    lab.etcd.etcdctl("put", "/resources/foreign", json.dumps(value))
    eventually(lambda: lab.running("foreign"), what="it runs")
    placed = lab.resource("foreign")
    assert (placed["ID"], placed["CreationTime"]) == (value["ID"], value["CreationTime"])
    eventually(lambda: lab.site.visits["foreign"], what="it is crawled")


def test_a_task_without_its_spider_fails_and_is_placed_anew_when_a_worker_has_it(lab):
    value = {"ID": "1602250527540776961", "Name": "rare", "AssignedNode": ""}
    value["CreationTime"] = 1670841268798763000
    lab.etcd.etcdctl("put", "/resources/rare", json.dumps(value))
    failed = eventually(lambda: (r := lab.resource("rare")).get("State") == "failed" and r)
    assert failed["AssignedNode"]
    assert failed["Reason"] == "no spider 'rare' here; this worker has: slow"
    lab.start("worker-3", config="both")
    again = eventually(lambda: (r := lab.resource("rare"))["Epoch"] > failed["Epoch"] and r)
    assert again["AssignedNode"] == f"{lab['worker-3'].id}|{lab['worker-3'].address}"
    assert (again["ID"], again["CreationTime"]) == (value["ID"], value["CreationTime"])
    assert "AwaitsSpider" not in eventually(lambda: settled(lab.resource("rare")))


def test_a_deleted_task_is_soon_not_crawled_any_more(lab):
    task, worker = next(iter(lab.running().items()))
    others = [name for name, owner in lab.running().items() if owner == worker and name != task]
    lab.delete(task)
    assert lab.resource(task) is None

    def is_silent():
        """Whether the other tasks of its worker have several turns, and it has none."""
        since_s = time.monotonic()
        for name in others:
            eventually(lambda n=name: visits_since(lab, n, since_s) >= 4, what=f"{name} runs")
        return not visits_since(lab, task, since_s)

    eventually(is_silent, what="it is not crawled any more")


# -- reading --------------------------------------------------------------------------------------


def has_network():
    """Whether this machine has an address beside loopback; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return False
        return not probe.getsockname()[0].startswith("127.")


def number_of(lab, master):
    """The master's number in the ids it mints."""
    key = f"/micro/registry/go.micro.server.master/{master.id}"
    return int(json.loads(lab.store.get(key).value)["nodes"][0]["metadata"]["snowflake"])


def incarnation(lab, worker):
    """The create revision of a worker's registration."""
    key = f"/micro/registry/go.micro.server.worker/{lab[worker].id}"
    return lab.store.get(key).create_revision


def counted(master):
    """Task → pages counted so far, as the leader knows it."""
    status, _, body = master.call("GET", "/crawler/resource")
    if status != 200:
        return dict.fromkeys(TASKS, 0)
    return {r["name"]: int(r["counts"]["pages"]) for r in json.loads(body)["resources"]}


def settled(value):
    """The value once its run has been reported."""
    return value if value["State"] in ("running", "failed") else None


def visits_since(lab, task, since_s):
    return sum(visit.at_s >= since_s for visit in lab.site.visits[task])
