"""The audit: each change is recorded once, whichever master and transport it came through."""

import json
from contextlib import contextmanager

import pytest

from crawler.api.doors import Approach
from crawler.api.rpc.metadata import CALLER, FORWARDED, caller_text
from crawler.api.sparse import MOST_ADDRESSES, MOST_OF_ADDRESS, MOST_OF_ALL
from crawler.api.trail import MOST_REFUSED, TURN_S, Trail
from crawler.audit_log import line_of
from crawler.clock import ManualClock
from crawler.coordination.token_secret import new_parts
from crawler.errors import CrawlerError, Forbidden, InvalidArgument, OutcomeUnknown
from crawler.model.access import Caller, Need, NewToken, Role, Token, TokenWish
from crawler.model.alerts import AlertRule, When
from crawler.model.audit import MOST_RECORDS, AuditRecord
from crawler.model.policy import PolicyChange
from crawler.model.records import Spec
from crawler.model.schedules import ScheduleWish
from crawler.model.secrets import SecretWish
from crawler.proto import crawler_pb2 as pb
from crawler.proto import crawler_pb2_grpc as pb_grpc
from crawler.supervision import Supervisor
from tests.clients import Client
from tests.unit.api.fakes import CALL, WORKER, FakeBackend, Master, channel_to, running
from tests.unit.api.test_doors import Known
from tests.waiting import eventually

CANARY = "canary-4711"
TOKEN = Token("0123456789ab", "deploy", Role.OPERATOR, b"", b"")


class Kept:
    """An audit log in memory."""

    def __init__(self):
        self.records = []

    def check(self):
        pass

    def start(self, supervisor):
        pass

    def write(self, record):
        self.records.append(record)

    def close(self):
        pass

    @property
    def words(self):
        return [(each.action, each.object, each.detail, each.outcome) for each in self.records]


class WithTokens(FakeBackend):
    """A leader that also has a token."""

    def __init__(self, trail):
        super().__init__()
        self.trail = trail

    def audit(self, limit, call):
        return self.trail.last(limit)

    def create_token(self, wish, call):
        self._enter(call)
        return NewToken(TOKEN, f"crawler_{TOKEN.id}_{CANARY}")

    def tokens(self, call):
        self._enter(call)
        return [TOKEN]

    def revoke_token(self, id, call):
        self._enter(call)
        return TOKEN


class Pair:
    """A leader and a follower, each with its log, and the one of them that clients ask."""

    def __init__(self):
        self.logs = [Kept(), Kept()]
        self.trails = [Trail(log, has_adds=True) for log in self.logs]
        self.tokens = Known()
        self.backend = WithTokens(self.trails[0])
        self.leader = Master(self.backend, trail=self.trails[0], tokens=self.tokens)
        self.follower = Master(trail=self.trails[1], tokens=self.tokens)

    def begin(self, asks_follower):
        """Forget all, and let clients ask one of both."""
        for log in self.logs:
            log.records.clear()
        self.tokens.clear()
        self.backend.resources.clear()
        self.backend.kept_schedules.clear()
        self.backend.before = lambda: None
        self.log, self.other = self.logs[::-1] if asks_follower else self.logs
        self.asked = self.follower if asks_follower else self.leader
        return self


@contextmanager
def listening():
    made = Pair()
    with running(made.leader, made.follower):
        made.follower.follow(made.leader.address)
        yield made


@pytest.fixture(scope="module")
def both():
    with listening() as made:
        yield made


@pytest.fixture(params=[False, True], ids=["leader", "follower"])
def pair(both, request):
    return both.begin(request.param)


SPEC = Spec("shop", "books", {"password": CANARY})
CHANGED = Spec("shop", "books", {"password": f"{CANARY}-2"}, {"team": "a"})

NIGHTLY = ScheduleWish("nightly", "@every 1h", Spec("nightly", "", {"password": CANARY}))

ACTIONS = [
    ("task.add", "shop", "", "POST", "resource", {"spider": "books", "name": "shop",
     "parameters": SPEC.parameters}, lambda it: it.submit(SPEC, CALL)),
    ("task.update", "shop", "parameters, labels", "PUT", "resource/shop",
     {"spider": "books", "parameters": CHANGED.parameters, "labels": CHANGED.labels},
     lambda it: it.update(CHANGED, CALL)),
    ("task.again", "shop", "", "POST", "resource/shop/again", None,
     lambda it: it.again("shop", CALL)),
    *(
        (f"task.{verb}", "shop", "", "POST", f"resource/shop/{verb}", None,
         lambda it, verb=verb: getattr(it, verb)("shop", CALL))
        for verb in ("pause", "resume", "stop", "run")
    ),
    ("task.delete", "shop", "", "DELETE", "resource/shop", None,
     lambda it: it.delete("shop", CALL)),
    ("node.drain", "2", "", "POST", "node/2/drain", None, lambda it: it.drain("2", CALL)),
    ("node.uncordon", "2", "", "POST", "node/2/uncordon", None, lambda it: it.uncordon("2", CALL)),
    ("scheduler.update", "", "strategy, disable", "PUT", "scheduler",
     {"strategy": "random", "disable": ["gpu"]},
     lambda it: it.update_scheduler(PolicyChange("random", disable=frozenset({"gpu"})), CALL)),
    ("scheduler.reset", "", "", "DELETE", "scheduler", None, lambda it: it.reset_scheduler(CALL)),
    ("token.create", "deploy", "operator", "POST", "token", {"name": "deploy", "role": "operator"},
     lambda it: it.create_token(TokenWish("deploy", Role.OPERATOR), CALL)),
    ("token.revoke", TOKEN.id, "deploy", "DELETE", f"token/{TOKEN.id}", None,
     lambda it: it.revoke_token(TOKEN.id, CALL)),
    ("secret.set", "login", "", "PUT", "secret/login", {"value": CANARY},
     lambda it: it.set_secret(SecretWish("login", CANARY), CALL)),
    ("schedule.add", "nightly", "", "POST", "schedule", {"name": "nightly", "when": "@every 1h",
     "task": {"parameters": SPEC.parameters}}, lambda it: it.add_schedule(NIGHTLY, CALL)),
    ("schedule.update", "nightly", "", "PUT", "schedule/nightly", {"when": "@every 2h"},
     lambda it: it.update_schedule(NIGHTLY, CALL)),
    ("schedule.pause", "nightly", "", "POST", "schedule/nightly/pause", None,
     lambda it: it.pause_schedule("nightly", CALL)),
    ("schedule.resume", "nightly", "", "POST", "schedule/nightly/resume", None,
     lambda it: it.resume_schedule("nightly", CALL)),
    ("schedule.run", "nightly", "", "POST", "schedule/nightly/run", None,
     lambda it: it.run_schedule("nightly", CALL)),
    ("schedule.delete", "nightly", "", "DELETE", "schedule/nightly", None,
     lambda it: it.delete_schedule("nightly", CALL)),
    ("alert-rule.set", "late", "", "PUT", "alerts/rules/late", {"when": "late"},
     lambda it: it.set_alert_rule(AlertRule("late", When.LATE), CALL)),
    ("alert-rule.delete", "late", "", "DELETE", "alerts/rules/late", None,
     lambda it: it.delete_alert_rule("late", CALL)),
    ("alert.test", "ops", "", "POST", "alerts/channels/ops/test", None,
     lambda it: it.test_alert("ops", CALL)),
    ("secret.delete", "login", "", "DELETE", "secret/login", None,
     lambda it: it.delete_secret("login", CALL)),
]  # fmt: skip
READS = [
    "resource",
    "resource/shop",
    "resource/shop/explain",
    "node",
    "scheduler",
    "token",
    "secret",
    "audit",
    "alerts",
    "alerts/rules",
]


def over_http(pair):
    for _, _, _, method, path, body, _ in ACTIONS:
        answer = pair.asked.web.open(f"/crawler/{path}", method=method, json=body)
        assert answer.status_code == 200, answer.data


def over_grpc(pair):
    client = Client(pair.asked.address)
    for *_, ask in ACTIONS:
        ask(client)
    client.close()


@pytest.mark.parametrize(("do", "transport"), [(over_http, "http"), (over_grpc, "grpc")])
def test_each_change_is_one_record_of_the_master_that_was_asked(pair, do, transport):
    do(pair)
    assert pair.log.words == [(*told, "done") for *told, _, _, _, _ in ACTIONS]
    assert pair.other.records == []
    whence = {(each.who, each.role, each.address, each.transport) for each in pair.log.records}
    assert whence == {("loopback", "node", "127.0.0.1", transport)}
    ids = [each.id for each in pair.log.records]
    assert ids[:3] == ["1602250527540776960"] * 3
    assert {WORKER.id, TOKEN.id} <= set(ids)
    assert CANARY not in "".join(map(str, map(line_of, pair.log.records)))


def test_the_leader_tells_the_last_records_whoever_is_asked(pair):
    over_http(pair)
    found = pair.asked.web.get("/crawler/audit?limit=3").json["records"]
    assert [each["action"] for each in found] == [each[0] for each in ACTIONS[-3:]]
    assert (found[-1]["from"], found[-1]["transport"]) == ("127.0.0.1", "http")
    client = Client(pair.asked.address)
    told = [each.action for each in client.audit(len(ACTIONS), CALL)]
    assert told == [each[0] for each in ACTIONS]
    assert client.audit(1, CALL)[0].address == "127.0.0.1"
    client.close()
    refused = pair.asked.web.get("/crawler/audit?limit=0")
    assert refused.status_code == 400
    assert "limit: '0' is not allowed" in refused.json["message"]


def test_the_leader_knows_what_another_master_passed_on():
    with listening() as made:
        pair = made.begin(asks_follower=True)
        pair.asked.web.post("/crawler/node/2/drain")
        assert [each.action for each in pair.trails[0].last(9)] == ["node.drain"]
        assert pair.other.records == [], "the follower writes it"


def test_reads_are_no_records(pair):
    pair.backend.add(SPEC, CALL)
    for path in READS:
        assert pair.asked.web.get(f"/crawler/{path}").status_code == 200
    assert pair.log.records == pair.other.records == []


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (OutcomeUnknown("etcd did not answer; read"), "unknown", "etcd did not answer"),
        (
            InvalidArgument(f"parameters.x: '; {CANARY}: 1' is bad"),
            "INVALID_ARGUMENT",
            "parameters",
        ),
        (Forbidden("labels: no"), "PERMISSION_DENIED", "labels: no"),
        (ValueError(CANARY), "INTERNAL", ""),
    ],
)
def test_a_failure_is_recorded_with_its_code_and_no_value(pair, error, outcome, reason):
    def fail():
        raise error

    pair.backend.before = fail
    assert pair.asked.web.delete("/crawler/resource/shop").status_code >= 400
    [found] = pair.log.records
    assert (found.outcome, pair.other.records) == (outcome, [])
    assert reason in found.reason
    assert CANARY not in found.reason


def test_what_no_leader_could_carry_out_is_recorded_too():
    log = Kept()
    master = Master(trail=Trail(log))
    assert master.web.delete("/crawler/resource/shop").status_code == 503
    assert log.words == [("task.delete", "shop", "", "UNAVAILABLE")]


def test_a_leader_that_dies_meanwhile_leaves_the_outcome_unknown():
    with listening() as made:
        pair = made.begin(asks_follower=True)
        pair.backend.before = lambda: pair.leader.server.stop(0.0)
        assert pair.asked.web.delete("/crawler/resource/shop").status_code == 504
        assert pair.log.words == [("task.delete", "shop", "", "unknown")]


def test_adds_are_recorded_only_if_that_is_asked_for():
    log = Kept()
    master = Master(FakeBackend(), trail=Trail(log))
    body = {"name": "shop", "spider": "books"}
    assert master.web.post("/crawler/resource", json=body).status_code == 200
    assert log.records == []


def test_refusals_at_the_doors_are_recorded(pair):
    viewer = pair.tokens.make(Role.VIEWER)
    wrong = new_parts().text
    for token in (viewer, wrong, ""):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = pair.asked.web.delete("/crawler/resource/shop", headers=headers)
        assert answer.status_code in (401, 403)
        assert pair.asked.web.post("/crawler/resource", headers=headers).status_code in (401, 403)
    client = Client(pair.asked.address, token=lambda: viewer)
    with pytest.raises(CrawlerError):
        client.drain("2", CALL)
    client.close()
    told = [(each.role, each.action, each.object, each.outcome) for each in pair.log.records]
    denied, unknown = ("viewer", "PERMISSION_DENIED"), ("", "UNAUTHENTICATED")
    assert told == [
        (role, action, object, outcome)
        for role, outcome in (denied, unknown, unknown)
        for action, object in (("task.delete", "shop"), ("task.add", "POST /crawler/resource"))
    ] + [("viewer", "node.drain", "/CrawlerMaster/DrainNode", "PERMISSION_DENIED")]
    assert [each.reason for each in pair.log.records][::2] == [
        "has the role viewer, which may not do this",
        "this token is not valid here",
        "this cluster needs a token",
        "has the role viewer, which may not do this",
    ]
    lines = "".join(map(str, map(line_of, pair.log.records)))
    assert all(each[-43:] not in lines for each in (viewer, wrong))


def test_a_refusal_in_protected_mode_is_told_in_two_words_with_its_path():
    log = Kept()
    master = Master(FakeBackend(), trail=Trail(log))
    stranger = {"REMOTE_ADDR": "192.0.2.2"}
    assert master.web.get("/crawler/node", environ_overrides=stranger).status_code == 403
    [found] = log.records
    assert (found.action, found.object, found.reason) == (
        "read",
        "GET /crawler/node",
        "protected mode",
    )


def test_the_text_of_a_token_in_place_of_an_id_is_hidden(pair):
    text = new_parts().text
    assert pair.asked.web.delete(f"/crawler/token/{text}").status_code == 200
    assert pair.log.records.pop().object == text.split("_")[1]
    assert pair.asked.web.delete(f"/crawler/token/{text}x").status_code == 200
    assert pair.log.records[0].object == f"{text[:21]}…"
    login = f"eyJhbGciOiJIUzI1NiJ9.{CANARY}.{CANARY}"
    assert pair.asked.web.delete(f"/crawler/token/{login}").status_code == 200
    assert pair.log.records[1].object == "eyJ…"
    assert text[21:] not in str(pair.log.records)


def test_what_a_caller_names_is_one_short_line(pair):
    pair.asked.web.post(f"/crawler/node/{'x' * 999}/drain")
    pair.asked.web.post("/crawler/node/a%0Ab/drain")
    assert [each.object for each in pair.log.records] == ["x" * 200, r"a\nb"]


class Flood:
    """A trail whose doors refuse many."""

    def __init__(self):
        self.log, self.clock = Kept(), ManualClock()
        self.trail = Trail(self.log, self.clock)

    def refuse(self, address, times=1):
        for _ in range(times):
            self.trail.refused(Approach(address), None, Need.READ, Forbidden("no"))


def test_a_flood_of_refusals_is_counted():
    flood = Flood()
    flood.refuse("10.0.0.1", 500)
    flood.refuse("10.0.0.2")
    assert len(flood.log.records) == MOST_OF_ADDRESS + 1
    flood.clock.advance(60.0)
    flood.refuse("10.0.0.1")
    counted, last = flood.log.records[-2:]
    assert (counted.action, counted.outcome, counted.count) == ("refusals", "counted", 490)
    assert (counted.address, last.count) == ("10.0.0.1", 1)


def test_a_flood_of_many_addresses_is_bounded_too():
    flood = Flood()
    for number in range(5_000):
        flood.refuse(f"10.0.{number // 256}.{number % 256}")
    flood.clock.advance(60.0)
    flood.refuse("10.9.9.9")
    assert len(flood.log.records) <= MOST_OF_ALL + MOST_ADDRESSES + 2
    assert sum(each.count for each in flood.log.records) == 5_001
    assert len(flood.trail.last(MOST_RECORDS)) <= MOST_REFUSED


def test_the_counts_of_a_flood_that_ended_are_written_without_another_refusal():
    flood, supervisor = Flood(), Supervisor("test")
    flood.trail.start(supervisor)
    flood.refuse("10.0.0.1", 50)
    eventually(lambda: flood.clock.advance(TURN_S) or len(flood.log.records) > MOST_OF_ADDRESS)
    assert flood.log.records[-1].count == 40
    supervisor.stop()
    flood.refuse("10.0.0.1", 20)
    flood.trail.close()
    assert flood.log.records[-1].count == 10


def test_only_the_last_records_stay_in_memory_and_a_flood_of_refusals_hides_none():
    flood = Flood()
    caller = Caller("me", Role.ADMIN, {}, "10.0.0.1", "http")
    for number in range(MOST_RECORDS + 5):
        flood.clock.advance(1.0)
        flood.trail.note(caller, "task.delete", str(number), None)
        flood.refuse(f"10.0.0.{number % 250}")
    found = flood.trail.last(2 * MOST_RECORDS)
    deleted = [each.object for each in found if each.action == "task.delete"]
    assert deleted == [str(number) for number in range(5, MOST_RECORDS + 5)]
    assert flood.trail.last(2)[0].object == str(MOST_RECORDS + 4)


def test_a_line_is_json_and_leaves_out_what_is_empty():
    record = AuditRecord(
        1_670_841_268_798_763_000, "me", "admin", "::1", "http", "a", "ü\n", "done"
    )
    assert json.loads(line_of(record)) == {
        "time": "2022-12-12T10:34:28.798Z",
        "who": "me",
        "role": "admin",
        "from": "::1",
        "transport": "http",
        "action": "a",
        "object": "ü\n",
        "outcome": "done",
    }


@pytest.mark.parametrize("claim", [[], [(CALLER, caller_text(Caller("another", Role.VIEWER)))]])
def test_who_only_says_that_it_passes_a_call_on_is_written_down_by_its_own_name(claim):
    """A program of this machine may do everything without a token, and is no node all the same."""
    log = Kept()
    backend = FakeBackend()
    backend.add(Spec("x"), CALL)
    master = Master(backend, trail=Trail(log, ManualClock()))
    with running(master), channel_to(master) as channel:
        delete = pb_grpc.CrawlerMasterStub(channel).DeleteResource
        delete(pb.ResourceSpec(name="x"), metadata=[(FORWARDED, "1"), *claim], timeout=10)
    [record] = log.records
    assert (record.who, record.action, record.object) == ("loopback", "task.delete", "x")
