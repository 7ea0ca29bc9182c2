"""Who may come in: in protected mode, with tokens, from trusted networks."""

import gevent
import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.api import proofs
from crawler.api.doors import Approach, Doors
from crawler.api.rpc.metadata import CALLER, FORWARDED, caller_text
from crawler.clock import ManualClock
from crawler.coordination.token_secret import hash_of, new_salt
from crawler.errors import Forbidden, Overloaded, Unauthenticated, Unavailable
from crawler.model.access import GIVEN, Caller, Need, Role, Token
from crawler.proto import crawler_pb2 as pb
from crawler.proto import crawler_pb2_grpc as pb_grpc
from tests.unit.api.fakes import FakeBackend, Known, Master, channel_to, running

LOOPBACK = ["127.0.0.1", "127.8.0.3", "::1", "::ffff:127.0.0.1", "unix:"]
OUTSIDE = ["192.168.0.7", "8.8.8.8", "2001:db8::1", "::ffff:10.0.0.1", "", "no address", "0.0.0.0"]
NODE = "the secret of the nodes"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def tokens():
    return Known()


@pytest.fixture
def ours(tokens, clock):
    return Doors(tokens, lambda: NODE, clock)


def comes(token="", address="10.0.0.5", **more):
    return Approach(address, f"Bearer {token}" if token else "", **more)


@pytest.mark.parametrize("address", LOOPBACK)
@pytest.mark.parametrize("need", set(Need) - {Need.NOTHING})
def test_without_any_token_whoever_is_on_the_machine_may_do_everything(ours, address, need):
    assert ours.admit(comes(address=address), need).name == "loopback"


@pytest.mark.parametrize("approach", [
    *(comes(address=address) for address in OUTSIDE),
    *(comes(address=address, passed_by="Via") for address in LOOPBACK),
])  # fmt: skip
def test_without_any_token_nobody_else_may_read_and_it_is_told_how_to_make_one(ours, approach):
    with pytest.raises(Forbidden, match=r"protected mode: .*crawler token create --role admin"):
        ours.admit(approach, Need.READ)
    assert ours.admit(approach, Need.NOTHING) is None


@pytest.mark.parametrize(("approach", "cause"), [
    (comes(address="192.0.2.2"), "you came from 192.0.2.2; on the machine itself ask at 127.0.0.1"),
    (comes(address="::ffff:192.0.2.2"), "you came from 192.0.2.2;"),
    (comes(address="127.0.0.1", passed_by="X-Forwarded-For"),
     "X-Forwarded-For says that a proxy passed this on"),
])  # fmt: skip
def test_protected_mode_says_why_a_caller_is_a_stranger_and_what_lets_it_in(ours, approach, cause):
    with pytest.raises(Forbidden) as refused:
        ours.admit(approach, Need.READ)
    assert cause in str(refused.value)
    for way_out in ("token create --role admin --master 127.0.0.1:9091", "api.trusted", "api.open"):
        assert way_out in str(refused.value)


def test_with_a_token_everybody_needs_one(ours, tokens):
    text = tokens.make()
    for address in (*LOOPBACK, *OUTSIDE):
        with pytest.raises(Unauthenticated, match="needs a token: give it with --token"):
            ours.admit(comes(address=address), Need.READ)
        assert ours.admit(comes(text, address), Need.READ).role is Role.ADMIN


@pytest.mark.parametrize("role", GIVEN)
@pytest.mark.parametrize("need", Need)
def test_a_token_may_what_its_role_may(ours, tokens, role, need):
    text = tokens.make(role)
    if role.may(need):
        assert need is Need.NOTHING or ours.admit(comes(text), need).role is role
    else:
        with pytest.raises(Forbidden, match=f"the role {role.value}, which may not") as refused:
            ours.admit(comes(text), need)
        allowed = str(refused.value).rpartition("allowed: ")[2]
        may = [each.value for each in GIVEN if each.may(need)]
        assert allowed == (", ".join(may) or "nodes alone")


def test_what_roles_may():
    may = {role: {need.value for need in Need if role.may(need)} for role in Role}
    assert may == {
        Role.VIEWER: {"nothing", "read", "metrics"},
        Role.OPERATOR: {"nothing", "read", "metrics", "tasks"},
        Role.ADMIN: {"nothing", "read", "metrics", "tasks", "cluster", "debug"},
        Role.NODE: {need.value for need in Need},
        Role.METRICS: {"nothing", "metrics"},
    }


def test_a_revoked_or_expired_token_counts_no_more_though_it_was_right(ours, tokens, clock):
    text = tokens.make(expires_ns=clock.time_ns() + 10**9)
    assert ours.admit(comes(text), Need.READ)
    clock.advance(1.0)
    with pytest.raises(Unauthenticated, match="not valid here"):
        ours.admit(comes(text), Need.READ)
    other = tokens.make()
    assert ours.admit(comes(other), Need.READ)
    del tokens[other.split("_")[1]]
    with pytest.raises(Unauthenticated, match="not valid here"):
        ours.admit(comes(other), Need.READ)


def test_a_token_whose_secret_was_replaced_counts_no_more(ours, tokens):
    text = tokens.make()
    assert ours.admit(comes(text), Need.READ)
    id = text.split("_")[1]
    salt = new_salt()
    tokens[id] = Token(id, "t", Role.ADMIN, hash_of("another", salt), salt)
    with pytest.raises(Unauthenticated):
        ours.admit(comes(text), Need.READ)


def test_nodes_know_each_other_by_their_secret(ours, tokens):
    for _ in range(2):
        assert ours.admit(comes(NODE), Need.NODES).role is Role.NODE
        tokens.make()


def test_a_secret_that_is_not_known_yet_is_nobodys(tokens, clock):
    ours = Doors(tokens, str, clock)
    for authorization in ("Bearer ", "Bearer  ", "bearer \n"):
        with pytest.raises(Unauthenticated):
            ours.admit(Approach("127.0.0.1", authorization), Need.NODES)


@given(st.text(max_size=80))
def test_no_other_text_is_a_token(text):
    known = Known()
    known.make()
    ours = Doors(known, lambda: NODE, ManualClock())
    approach = Approach("127.0.0.1", text)
    with pytest.raises(Unauthenticated):
        ours.admit(approach, Need.READ)


def test_one_character_more_or_less_or_another_is_no_token(ours, tokens):
    text = tokens.make()
    for wrong in (text[:-1], text + "A", text[:-1] + "%", text.upper(), f"{text[:-1]}\u0000"):
        with pytest.raises(Unauthenticated):
            ours.admit(comes(wrong, address=wrong[-5:]), Need.READ)
    assert ours.admit(comes(f"  {text} "), Need.READ)
    assert ours.admit(Approach("", f"bEARER {text}"), Need.READ)


def test_an_address_with_many_wrong_tokens_waits_and_others_do_not(ours, tokens, clock):
    text = tokens.make()
    wrong = "crawler_0123456789ab_" + "x" * 43
    for _ in range(proofs.FAILURES_A_MINUTE):
        with pytest.raises(Unauthenticated):
            ours.admit(comes(wrong), Need.READ)
    with pytest.raises(Unauthenticated):
        ours.admit(comes(wrong), Need.READ)
    for address in ("10.0.0.5", "::ffff:10.0.0.5"):
        with pytest.raises(Overloaded, match=r"^10.0.0.5 gave too many wrong tokens; try again in"):
            ours.admit(comes(text, address), Need.READ)
    assert ours.admit(comes(text, "10.0.0.6"), Need.READ)
    clock.advance(1.0)
    assert ours.admit(comes(text), Need.READ)


def test_nothing_is_decided_before_the_tokens_have_been_read(ours, tokens):
    text = tokens.make()
    tokens.are_known = False
    for approach in (comes(text), comes(address="127.0.0.1"), comes()):
        with pytest.raises(Unavailable, match="not read the tokens"):
            ours.admit(approach, Need.READ)
    assert ours.admit(comes(NODE), Need.NODES)


def test_trusted_networks_and_open_doors_need_no_token(tokens, clock):
    tokens.make()
    ours = Doors(tokens, lambda: NODE, clock, trusted=["10.0.0.0/24", "fd00::/8"])
    assert ours.admit(comes(address="10.0.0.5"), Need.CLUSTER).name == "trusted 10.0.0.5"
    assert ours.admit(comes(address="fd00::7"), Need.NODES).name == "trusted fd00::7"
    for approach in (comes(address="10.0.1.5"), comes(address="10.0.0.5", passed_by="Via")):
        with pytest.raises(Unauthenticated):
            ours.admit(approach, Need.READ)
    mapped = comes(address="::ffff:10.0.0.5")
    assert ours.admit(mapped, Need.CLUSTER).name == "trusted 10.0.0.5"
    open_doors = Doors(tokens, lambda: NODE, clock, is_open=True)
    assert open_doors.admit(comes(), Need.NODES).name == "anybody"


def test_a_secret_is_hashed_once_and_the_hub_goes_on_meanwhile(ours, tokens, monkeypatch):
    text = tokens.make()
    turns = []

    def turn():
        while True:
            turns.append(1)
            gevent.sleep(0)

    others = gevent.spawn(turn)
    ours.admit(comes(text), Need.READ)
    others.kill()
    assert turns
    monkeypatch.setattr(proofs, "is_secret", lambda *_: pytest.fail("hashed again"))
    assert ours.admit(comes(text), Need.READ)


def test_only_a_node_passes_a_call_on_or_says_for_whom(tokens):
    """Whoever claims to pass a call on needs what a node needs."""
    master = Master(FakeBackend(), tokens=tokens)
    text = tokens.make(Role.OPERATOR, labels={"team": "a"})
    forged = caller_text(Caller("token 1 (other)", Role.ADMIN))
    with running(master), channel_to(master) as channel:
        stub = pb_grpc.CrawlerMasterStub(channel)
        door = ("authorization", f"Bearer {text}")
        for more in ([(FORWARDED, "1")], [(FORWARDED, "1"), (CALLER, forged)]):
            with pytest.raises(grpc.RpcError) as refused:
                stub.ListNodes(pb.ListNodesRequest(), metadata=[door, *more], timeout=10)
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        stub.ListResources(pb.ListResourcesRequest(), metadata=[door, (CALLER, forged)], timeout=10)
    assert master.election.backend.calls[-1].caller.labels == {"team": "a"}
