"""Alerts of whole nodes: a webhook is told what happens in a cluster, over a change of leader."""

import json

import pytest

from crawler.errors import InvalidArgument, NotFound, Unavailable
from crawler.model.alerts import AlertRule, When
from crawler.model.records import Spec, State
from crawler.settings.alerts import AlertSettings, Channel, RuleOfSettings
from crawler.settings.sections import CoordinationSettings, HistorySettings
from tests.clusters import CALL, Cluster, Unreachable, request
from tests.contract.test_alert_channels import Hook
from tests.integration.test_audit import run
from tests.integration.test_nodes import SPIDER, HoldingSite
from tests.waiting import eventually

SOON = CoordinationSettings(lease_ttl_s=5)


@pytest.fixture
def site():
    site = HoldingSite()
    site.released.set()
    yield site
    site.stop()


@pytest.fixture
def hook():
    made = Hook()
    yield made
    made.may_answer.set()
    made.server.stop(timeout=0)


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


def told(hook):
    """What the webhook was told, in its order."""
    alerts = [each for _, body in hook.got for each in json.loads(body)["alerts"]]
    return [(each["rule"], each["subject"], each["state"], each["text"]) for each in alerts]


def leader_id(client):
    """Who leads; empty while nobody does."""
    try:
        return client.leader(CALL).id
    except Unavailable:
        return ""


def told_by(body):
    """What one message is about."""
    return [each["subject"] for each in json.loads(body)["alerts"]]


def crawl(site, pages):
    """A task that yields one item for each page."""
    urls = [f"{site.url}/{number}" for number in range(pages)]
    return Spec("shop", "holding", {"start_urls": urls}, {"team": "a"})


def test_a_webhook_is_told_of_fewer_items_than_usual_over_a_change_of_leader(
    cluster, site, hook, monkeypatch, capsys
):
    alerts = AlertSettings(
        {"ops": Channel(url=hook.url)}, [RuleOfSettings("of-file", "no-worker")], pause_s=0.05
    )
    first = cluster.master("m1", alerts=alerts, history=HistorySettings())
    second = cluster.master("m2", alerts=alerts, history=HistorySettings())
    cluster.worker("w1", [SPIDER])
    client = cluster.client(second)
    client.test_alert("ops", CALL)
    assert told(hook) == [("test", "cluster", "firing", "this is a test")]
    assert json.loads(hook.got[0][1])["alerts"][0]["when"] == "test"
    hook.got.clear()
    rule = AlertRule("few", When.FEW_ITEMS, {"team": "a"}, ("ops",))
    assert client.set_alert_rule(rule, CALL).set_by == "loopback"
    client.add(crawl(site, 4), CALL)

    def ended(run_number):
        found = client.get("shop", CALL)
        return found.state is State.DONE and found.run == run_number

    for number in (1, 2, 3):
        eventually(lambda number=number: ended(number), what="it ran")
        if number < 3:
            client.run("shop", CALL)
    client.update(crawl(site, 1), CALL)
    text = "it ended with 1 items; usual are 4"
    eventually(lambda: told(hook) == [("few", "task shop", "firing", text)], what="it is told")
    said = run(monkeypatch, capsys, "alerts", "--json", node=second).splitlines()
    assert [json.loads(line)["text"] for line in said] == [text]
    table = run(monkeypatch, capsys, "alerts", "--firing", node=second).splitlines()
    assert [line.split()[:3] for line in table[1:]] == [["firing", "few", "task"]]

    first.stop()
    cluster.nodes.remove(first)
    client = cluster.client(second)
    client.update(crawl(site, 3), CALL)
    eventually(lambda: len(told(hook)) == 2, what="its end is told")
    assert told(hook)[1] == ("few", "task shop", "recovered", text)
    assert request(second, "GET", "/crawler/alerts")[2]["alerts"][0]["recovered"] != "0"


def test_what_is_asked_of_rules_and_channels_that_are_not_there(cluster, hook, monkeypatch, capsys):
    rules = [RuleOfSettings("of-file", "disk", limit=0.999)]
    hook.status = "410 Gone"
    alerts = AlertSettings({"ops": Channel(url=hook.url)}, rules)
    master = cluster.master("m1", alerts=alerts)
    client = cluster.client(master)
    with pytest.raises(InvalidArgument, match="channels: 'b' is not allowed; allowed: ops"):
        client.set_alert_rule(AlertRule("a", When.LATE, channels=("b",)), CALL)
    with pytest.raises(InvalidArgument, match="'of-file' is a rule of the settings; remove it"):
        client.delete_alert_rule("of-file", CALL)
    with pytest.raises(NotFound, match="no rule 'a'"):
        client.delete_alert_rule("a", CALL)
    with pytest.raises(NotFound, match="no channel 'b'; there are: ops"):
        client.test_alert("b", CALL)
    with pytest.raises(Unavailable, match="'ops' takes no message: the answer was 410"):
        client.test_alert("ops", CALL)
    said = run(
        *(monkeypatch, capsys, "alert", "rule", "set", "mine", "late", "--limit", "3"),
        *("--label", "team=a", "--channel", "ops"),
        node=master,
    )
    assert said == "rule mine is set; crawler alerts shows what it finds\n"
    table = run(monkeypatch, capsys, "alert", "rule", "list", node=master).splitlines()
    assert [line.split() for line in table[1:]] == [
        ["mine", "late", "team=a", "3", "60", "s", "ops", "loopback"],
        ["of-file", "disk", "0.999", "60", "s", "all", "the", "settings"],
    ]
    run(monkeypatch, capsys, "alert", "rule", "delete", "mine", node=master)
    assert [each.name for each in client.alert_rules(CALL)] == ["of-file"]


def test_a_master_without_etcd_tells_that_nobody_leads_and_the_next_leader_its_end(cluster, hook):
    rules = [RuleOfSettings("nobody", "no-leader", for_s=0.2)]
    channels = {"ops": Channel(url=hook.url)}
    alerts = AlertSettings(channels, rules, pause_s=0.05, check_s=0.05)
    store = Unreachable(cluster.store)
    master = cluster.master("m1", store=store, alerts=alerts, coordination=SOON)
    cluster.client(master)
    assert told(hook) == []
    store.cut = True
    eventually(lambda: told(hook), what="it is told")
    assert [each[:3] for each in told(hook)] == [("nobody", "cluster", "firing")]
    assert "other masters may tell this, too" in json.loads(hook.got[0][1])["note"]
    store.cut = False
    eventually(lambda: len(told(hook)) == 2, what="its end is told")
    assert told(hook)[1][:3] == ("nobody", "cluster", "recovered")


def test_alerts_outlive_the_leader_that_is_cut_off(cluster, hook, site):
    """It loses its lease in the middle: what was told is not told again, what was not is."""
    rules = [RuleOfSettings("failed", "failed", labels={"team": "a"})]
    alerts = AlertSettings({"ops": Channel(url=hook.url)}, rules, pause_s=0.05, check_s=0.05)
    store = Unreachable(cluster.store)
    cluster.master("m1", store=store, alerts=alerts, coordination=SOON)
    second = cluster.master("m2", alerts=alerts, coordination=SOON)
    cluster.worker("w1", [SPIDER])
    client = cluster.client(second)

    def add(name):
        given = {"start_urls": [f"{site.url}/x"], "settings": {"min_items": 9}}
        client.add(Spec(name, "holding", given, {"team": "a"}), CALL)
        eventually(lambda: client.get(name, CALL).state is State.FAILED, what="it failed")

    add("told")
    eventually(lambda: len(told(hook)) == 1, what="it is told")
    hook.status = "503 Busy"
    add("untold")
    eventually(lambda: len(hook.got) > 1, what="it is tried")
    first_id = client.leader(CALL).id
    store.cut = True
    eventually(lambda: leader_id(client) not in ("", first_id), what="another master leads")
    before = len(hook.got)
    hook.status = "200 OK"
    eventually(
        lambda: any("task untold" in str(told_by(body)) for _, body in hook.got[before:]),
        what="the next leader tells it",
    )
    later = [each for _, body in hook.got[1:] for each in told_by(body)]
    assert "task told" not in later, "it was told before"
