"""Rules and alerts over HTTP and gRPC: the same on both, and checked."""

import pytest

from crawler.errors import InvalidArgument, NotFound
from crawler.model.alerts import Alert, AlertRule, When
from tests.unit.api.fakes import CALL, FakeBackend, Master, client_of, running

RULE = AlertRule("few", When.FEW_ITEMS, {"team": "a"}, ("ops", "chat"), 0.8, 5.5, "loopback")
ALERT = Alert(
    *("few", When.FEW_ITEMS, "task x", "1/2", "few items", 5),
    *({"team": "a"}, 6, "it is over", ("ops",)),
)


@pytest.fixture
def backend():
    backend = FakeBackend()
    backend.known_alerts.append(ALERT)
    return backend


def test_grpc_carries_every_field(backend):
    with running(Master(backend)) as [master], client_of(master) as client:
        assert client.set_alert_rule(RULE, CALL) == RULE
        assert client.alert_rules(CALL) == [RULE]
        assert client.alerts(CALL) == [ALERT]
        assert client.alerts(CALL)[0].id == ALERT.id
        client.test_alert("ops", CALL)
        with pytest.raises(NotFound, match="no channel 'b'"):
            client.test_alert("b", CALL)
        assert client.delete_alert_rule("few", CALL) == RULE
        with pytest.raises(InvalidArgument, match="limit: -1"):
            client.set_alert_rule(AlertRule("a", When.LATE, limit=-1.0), CALL)


def test_http_carries_every_field(backend):
    web = Master(backend).web
    given = {"when": "few-items", "labels": {"team": "a"}, "channels": ["ops", "chat"]}
    answer = web.put("/crawler/alerts/rules/few", json={**given, "limit": 0.8, "for_s": 5.5})
    assert answer.json == {"name": "few", **given, "limit": 0.8, "forS": 5.5, "setBy": "loopback"}
    assert backend.kept_rules == {"few": RULE}
    again = web.put("/crawler/alerts/rules/few", json=answer.json)
    assert again.json == answer.json, "what was answered may be sent back"
    [told] = web.get("/crawler/alerts").json["alerts"]
    assert (told["subject"], told["since"], told["owed"]) == ("task x", "5", ["ops"])


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("a", {}, "when: "),
        ("a", {"when": "odd"}, "when: 'odd' is not allowed; allowed: failed, few-items, late"),
        ("a b", {"when": "late"}, "name: 'a b' is not allowed; allowed are 1 to 64"),
        ("a", {"when": "late", "limit": -1}, "limit: -1 is not allowed; allowed is a number"),
        ("a", {"when": "late", "for_s": True}, "for_s: True is not allowed"),
        ("a", {"when": "late", "channels": "ops"}, "channels: 'ops' is not allowed; allowed is"),
        ("a", {"when": "late", "labels": []}, "labels: "),
        ("a", {"when": "late", "name": "b"}, "name: 'b' is not the name in the path"),
    ],
)
def test_a_rule_is_checked(backend, name, given, told):
    answer = Master(backend).web.put(f"/crawler/alerts/rules/{name}", json=given)
    assert answer.status_code == 400
    assert answer.json["message"].startswith(told)
    assert not backend.kept_rules
