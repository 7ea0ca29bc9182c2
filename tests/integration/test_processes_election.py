"""Our masters and a candidate of etcd's own library, in Go, in one election."""

import json

import pytest

from tests.integration.lab import interrupt
from tests.waiting import PATIENCE_S, eventually


@pytest.fixture
def lab(shared_lab):
    """Two masters, one of which leads, and no other candidate."""
    shared_lab.start("master-1", "master-2")
    eventually(lambda: len(candidates(shared_lab)) == 2, what="both masters stand")
    eventually(lambda: serves(shared_lab.masters()[0]), what="one of them leads")
    return shared_lab


@pytest.fixture
def foreign(lab):
    """The foreign candidate, last in the line."""
    process = lab.foreign_candidate()
    eventually(lambda: candidates(lab)[-1] == "foreign", what="it stands")
    yield process
    process.kill()
    for kv in lab.store.range("/resources/election/").items:
        if kv.value == b"foreign":
            lab.store.lease_revoke(kv.lease)


def test_it_waits_while_our_masters_lead_and_leads_when_they_have_gone(lab, foreign):
    leader, other = lab.masters()
    assert candidates(lab) == [leader.candidate, other.candidate, "foreign"]
    leader.process.stop()
    eventually(lambda: serves(other), what="the next in line leads")
    assert "foreign" not in foreign.tail()
    other.process.stop()
    # etcdctl writes its key and its value when it is elected.
    eventually(lambda: foreign.tail(1) == "foreign", what="it is elected")
    assert candidates(lab) == ["foreign"]


def test_while_it_leads_our_masters_follow_and_lead_again_when_it_resigns(lab, foreign):
    leader, other = lab.masters()
    for master in (leader, other):
        master.process.stop()
    eventually(lambda: foreign.tail(1) == "foreign", what="it is elected")
    lab.start("master-1", "master-2", ready=False)
    eventually(lambda: len(candidates(lab)) == 3, what="both masters stand behind it")
    for master in (leader, other):
        assert json.loads(master.call("GET", "/crawler/leader")[2])["id"] == "foreign"
        for method, path in (("GET", "/crawler/resource"), ("DELETE", "/crawler/resource/task")):
            status, headers, answer = master.call(method, path)
            assert (status, json.loads(answer)["code"]) == (503, 14)
            assert int(headers["Retry-After"]) >= 1
    interrupt(foreign)
    assert foreign.wait(PATIENCE_S)
    eventually(lambda: serves(lab.masters()[0]), what="the next in line leads")
    assert "foreign" not in candidates(lab)


def test_a_leader_whose_key_is_deleted_steps_down_and_stands_again(lab, foreign):
    leader, other = lab.masters()
    oldest = min(lab.store.range("/resources/election/").items, key=lambda kv: kv.create_revision)
    lab.etcd.etcdctl("del", oldest.key)
    eventually(lambda: candidates(lab) == [other.candidate, "foreign", leader.candidate])
    eventually(lambda: serves(other), what="the next in line leads")
    expected = {"id": other.candidate, "address": other.address}
    eventually(lambda: json.loads(leader.call("GET", "/crawler/leader")[2]) == expected)


def candidates(lab):
    """The values of all candidates, in the order in which they lead."""
    found = lab.store.range("/resources/election/").items
    return [kv.value.decode() for kv in sorted(found, key=lambda kv: kv.create_revision)]


def serves(master):
    """Whether that master leads and is ready: it answers, and itself."""
    if master.process.alive and master.call("GET", "/crawler/resource")[0] == 200:
        return json.loads(master.call("GET", "/crawler/leader")[2])["id"] == master.candidate
    return False
