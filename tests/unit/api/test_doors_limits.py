"""What strangers cannot do at the doors: shut out others, make them wait, pass for the machine."""

import gevent
import grpc
import pytest
from gevent.event import Event
from werkzeug.test import EnvironBuilder

from crawler.api import doors, passed_on, proofs
from crawler.api.doors import Approach, Doors
from crawler.api.failures import explain
from crawler.api.http import access
from crawler.clock import ManualClock, settle
from crawler.errors import Forbidden, Overloaded, Unauthenticated, Unavailable
from crawler.model.access import Need, Role
from crawler.proto import crawler_pb2 as pb
from crawler.proto import crawler_pb2_grpc as pb_grpc
from tests.unit.api.fakes import FakeBackend, Known, Master, channel_to, running
from tests.waiting import eventually

NODE, FORMER = "the secret of the nodes", "the former one"
WRONG = "crawler_0123456789ab_" + "x" * 43
PROXIES = [
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port"),
    *("X-Forwarded-Prefix", "X-Forwarded-By", "X-Forwarded-Anything", "Forwarded", "Via"),
    *("X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP", "CDN-Loop"),
    *("X-Cluster-Client-IP", "X-Envoy-External-Address", "X-Envoy-Internal"),
]


class WaitingPeople:
    """People of a provider that does not answer before it is let."""

    def __init__(self):
        self.waiting = 0
        self.answers = Event()

    def caller(self, token):
        self.waiting += 1
        self.answers.wait()
        self.waiting -= 1
        raise Unauthenticated("no login")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def tokens():
    return Known()


@pytest.fixture
def ours(tokens, clock):
    return Doors(tokens, lambda: NODE, clock, former_secret=lambda: FORMER)


def comes(token="", address="10.0.0.5"):
    return Approach(address, f"Bearer {token}" if token else "")


def outcomes(doors, approaches, need=Need.READ):
    """Let all of them come at once. Returns greenlets, whose values are callers or errors."""

    def come(approach):
        try:
            return doors.admit(approach, need)
        except (Unauthenticated, Overloaded) as error:
            return error

    return [gevent.spawn(come, approach) for approach in approaches]


def spend(ours, times=500):
    for _ in range(times):
        ours._failures.note("10.0.0.5")


def test_wrong_tokens_keep_out_neither_nodes_nor_tokens_that_were_right(ours, tokens):
    known, new = tokens.make(), tokens.make()
    ours.admit(comes(known), Need.READ)
    spend(ours)
    assert ours.admit(comes(NODE), Need.NODES).is_node
    assert ours.admit(comes(FORMER), Need.NODES).is_node
    assert ours.admit(comes(known), Need.READ)
    for other in (new, WRONG, "no token"):
        with pytest.raises(Overloaded):
            ours.admit(comes(other), Need.READ)


def test_nobody_waits_longer_than_a_minute_and_the_answer_says_how_long(ours, tokens, clock):
    spend(ours)
    with pytest.raises(Overloaded, match="try again in 60 s") as refused:
        ours.admit(comes(WRONG), Need.READ)
    assert explain(refused.value, "").retry_after_s == 60.0
    clock.advance(59.5)
    with pytest.raises(Overloaded, match="try again in 1 s") as refused:
        ours.admit(comes(WRONG), Need.READ)
    assert explain(refused.value, "").retry_after_s == pytest.approx(0.5)
    clock.advance(0.5)
    assert ours.admit(comes(tokens.make()), Need.READ)


def test_over_http_the_answer_says_how_long_to_wait(tokens):
    with running(Master(FakeBackend(), tokens=tokens)) as (master,):
        headers = {"Authorization": f"Bearer {WRONG}"}
        for _ in range(500):
            master.doors._failures.note("127.0.0.1")
        answer = master.web.get("/crawler/resource", headers=headers)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 50


@pytest.mark.parametrize("name", PROXIES)
def test_whom_a_proxy_passes_on_is_nobody_of_this_machine(name):
    environ = EnvironBuilder(headers={name: "x"}).get_environ()
    environ["REMOTE_ADDR"] = "127.0.0.1"
    assert access.approach(environ).passed_by == name.title()
    assert passed_on.in_metadata({name.lower(): "x"}) == name.title()
    master = Master(FakeBackend(), tokens=Known())
    with running(master), channel_to(master) as channel:
        stub = pb_grpc.CrawlerMasterStub(channel)
        stub.ListNodes(pb.ListNodesRequest(), timeout=10)
        with pytest.raises(grpc.RpcError, match="protected mode"):
            stub.ListNodes(pb.ListNodesRequest(), metadata=[(name.lower(), "x")], timeout=10)


def test_other_headers_are_of_whoever_asks():
    headers = {"X-Request-Id": "1", "User-Agent": "curl", "X-Forwarder": "x", "Accept": "*/*"}
    assert not access.approach(EnvironBuilder(headers=headers).get_environ()).is_passed_on
    assert not passed_on.in_metadata(["user-agent", "x-crawler-forwarded", "grpc-timeout"])


def test_few_callers_wait_for_the_keys_of_a_provider_and_others_are_told_at_once(tokens, clock):
    people = WaitingPeople()
    ours = Doors(tokens, lambda: NODE, clock, people=people)
    came = outcomes(ours, [comes("a.b.c")] * 500)
    settle()
    assert people.waiting == proofs.MOST_CHECKS_OF_ADDRESS
    came += outcomes(ours, [comes("a.b.c", f"10.1.0.{number}") for number in range(200)])
    settle()
    assert people.waiting == proofs.MOST_CHECKS
    ended = [each.value for each in came if each.ready()]
    assert len(ended) == 700 - proofs.MOST_CHECKS
    assert {type(each) for each in ended} == {Overloaded}
    assert ours.admit(comes(NODE), Need.NODES)
    people.answers.set()
    gevent.joinall(came)
    assert isinstance(outcomes(ours, [comes("a.b.c", "10.2.0.1")])[0].get(), Unauthenticated)


def test_few_calls_of_grpc_wait_outside_of_their_places(tokens):
    people = WaitingPeople()
    master = Master(FakeBackend(), tokens=tokens, people=people)
    with running(master), channel_to(master) as channel:
        stub = pb_grpc.CrawlerMasterStub(channel)
        door = [("authorization", "Bearer a.b.c")]
        calls = [
            stub.ListNodes.future(pb.ListNodesRequest(), metadata=door, timeout=30)
            for _ in range(100)
        ]
        waiting = proofs.MOST_CHECKS_OF_ADDRESS
        eventually(lambda: sum(not call.done() for call in calls) == waiting)
        assert people.waiting == waiting
        people.answers.set()
        codes = [call.code() for call in calls]
    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 100 - waiting
    assert codes.count(grpc.StatusCode.UNAUTHENTICATED) == waiting


@pytest.fixture
def hashing(monkeypatch):
    """Hashing that ends when it is let; it counts what it hashes."""
    hashed, may_end, usual = [], Event(), proofs.is_secret

    def slow(secret, *others):
        hashed.append(secret)
        may_end.wait()
        return usual(secret, *others)

    monkeypatch.setattr(proofs, "is_secret", slow)
    return hashed, may_end


def test_few_wrong_secrets_are_hashed_at_once(ours, tokens, hashing):
    hashed, may_end = hashing
    text = tokens.make()
    wrong = [f"{text[:-3]}{number:03}" for number in range(500)]
    came = outcomes(ours, map(comes, wrong))
    settle()
    assert len(hashed) == proofs.MOST_CHECKS_OF_ADDRESS
    came += outcomes(ours, [comes(each, f"10.1.0.{n % 250}") for n, each in enumerate(wrong)])
    settle()
    assert len(hashed) == proofs.MOST_CHECKS
    may_end.set()
    gevent.joinall(came)
    assert ours.admit(comes(text, "10.2.0.1"), Need.READ)


def test_a_secret_that_many_bring_at_once_is_hashed_once(ours, tokens, hashing):
    hashed, may_end = hashing
    text = tokens.make()
    came = outcomes(ours, [comes(text)] * 500)
    settle()
    may_end.set()
    assert {greenlet.get().role for greenlet in came} == {Role.ADMIN}
    assert len(hashed) == 1


@pytest.mark.parametrize("ends", [gevent.GreenletExit, gevent.Timeout])
def test_a_caller_that_is_broken_off_takes_along_nobody_who_waits_for_its_check(
    ours, tokens, hashing, ends
):
    _, may_end = hashing
    text = tokens.make()
    first, *others = outcomes(ours, [comes(text)] * 3)
    settle()
    first.kill(ends, block=False)
    gevent.joinall([first, *others])
    assert [each.value.__class__ for each in others] == [Unavailable] * 2
    assert "was broken off; try again" in str(others[0].value)
    may_end.set()
    assert ours.admit(comes(text), Need.READ), "the next one hashes it"


def test_nobody_waits_for_ever_for_the_check_of_another(ours, tokens, hashing, monkeypatch):
    monkeypatch.setattr(proofs, "MOST_CHECK_S", 0.05)
    _, may_end = hashing
    text = tokens.make()
    first, second = outcomes(ours, [comes(text)] * 2)
    gevent.joinall([second])
    assert "takes more than 0.05 s; try again" in str(second.value)
    may_end.set()
    assert first.get().role is Role.ADMIN


@pytest.mark.parametrize("need", [Need.TASKS, Need.CLUSTER, Need.READ, Need.METRICS, Need.DEBUG])
def test_a_node_that_lost_etcd_does_not_decide_on_tokens(ours, tokens, need):
    text = tokens.make()
    reads = need in (Need.READ, Need.METRICS, Need.DEBUG)
    most_s = doors.MOST_SILENCE_OF_READERS_S if reads else doors.MOST_SILENCE_S
    assert ours.admit(comes(text), need)
    tokens.silence_s = most_s
    assert ours.admit(comes(text), need)
    tokens.silence_s = most_s + 1
    told = f"has heard nothing of etcd for {most_s + 1:.0f} s"
    with pytest.raises(Unavailable, match=told):
        ours.admit(comes(text), need)
    assert ours.admit(comes(NODE), Need.NODES)


def test_without_tokens_the_machine_comes_in_however_long_etcd_is_away(ours, tokens):
    tokens.silence_s = 10 * doors.MOST_SILENCE_OF_READERS_S
    assert ours.admit(comes(address="127.0.0.1"), Need.CLUSTER)
    with pytest.raises(Forbidden):
        ours.admit(comes(), Need.READ)


def test_before_the_secret_of_nodes_is_read_it_is_no_wrong_token(tokens, clock):
    secret = []
    ours = Doors(tokens, lambda: "".join(secret), clock)
    for _ in range(2 * proofs.FAILURES_A_MINUTE):
        with pytest.raises(Unavailable, match="not read the secret of its cluster's nodes"):
            ours.admit(comes(NODE), Need.NODES)
    with pytest.raises(Unauthenticated):
        ours.admit(comes(WRONG), Need.READ)
    secret.append(NODE)
    assert ours.admit(comes(NODE), Need.NODES).is_node
    with pytest.raises(Unauthenticated):
        ours.admit(comes("another"), Need.NODES)
