"""Alerts of masters as processes, with etcd: the leader is killed while a channel takes nothing."""

import json

import pytest

from tests.contract.test_alert_channels import Hook
from tests.waiting import eventually

SETTINGS = """
alerts:
  channels: {{ops: {{url: "{url}", key: k}}}}
  rules:
    - {{name: nobody, when: no-worker, for_s: 0.2}}
    - {{name: waits, when: waiting, for_s: 0.2}}
  pause_s: 0.1
  check_s: 0.1
"""

NO_LEADER = """
alerts:
  channels: {{ops: {{url: "{url}"}}}}
  rules: [{{name: nobody, when: no-leader, for_s: 0.5}}]
  pause_s: 0.1
  check_s: 0.1
"""


@pytest.fixture
def hook():
    made = Hook()
    yield made
    made.server.stop(timeout=0)


def test_the_next_leader_tells_what_the_killed_one_could_not_and_nothing_twice(shared_lab, hook):
    shared_lab.write_settings("told", "slow.py", SETTINGS.format(url=hook.url))
    shared_lab.start("master-1", "master-2", config="told")
    eventually(lambda: told(hook) == [("nobody", "cluster", "firing")], what="it is told")
    leader, other = shared_lab.masters()
    eventually(lambda: owed(other) == {"cluster": []}, what="it is noted")
    hook.status = "503 Busy"
    shared_lab.add("late")
    eventually(lambda: ("waits", "task late", "firing") in told(hook), what="it is tried")
    leader.process.kill()
    hook.got.clear()
    hook.status = "200 OK"
    eventually(
        lambda: owed(other) == {"cluster": [], "task late": []}, what="the next one tells it"
    )
    assert set(told(hook)) == {("waits", "task late", "firing")}
    ids = {each["id"] for _, body in hook.got for each in json.loads(body)["alerts"]}
    assert len(ids) == 1


def test_masters_without_etcd_tell_it_under_one_id_and_its_end_is_told_once(shared_lab, hook):
    shared_lab.write_settings("led", "slow.py", NO_LEADER.format(url=hook.url))
    for master in shared_lab.masters():
        master.process.stop()
    shared_lab.start("master-3", "master-4", config="led")
    try:
        shared_lab.etcd.pause()
        eventually(lambda: len(hook.got) == 2, what="both tell it")
    finally:
        shared_lab.etcd.resume()
    assert len({json.loads(body)["id"] for _, body in hook.got}) == 1
    eventually(lambda: len(hook.got) > 2, what="its end is told")
    masters = [shared_lab["master-3"], shared_lab["master-4"]]
    eventually(lambda: all(owed(each) == {"cluster": []} for each in masters), what="it is noted")
    assert told(hook)[2:] == [("nobody", "cluster", "recovered")]


def told(hook):
    """What the webhook was told, whatever it answered."""
    alerts = [each for _, body in hook.got for each in json.loads(body)["alerts"]]
    return [(each["rule"], each["subject"], each["state"]) for each in alerts]


def owed(master):
    """What an alert is about → the channels that were not told of it."""
    status, _, body = master.call("GET", "/crawler/alerts")
    alerts = json.loads(body)["alerts"] if status == 200 else []
    return {each["subject"]: each["owed"] for each in alerts}
