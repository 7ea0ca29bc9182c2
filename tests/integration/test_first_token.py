"""As long as a cluster has tokens, one of them lets somebody make others."""

import gevent
import pytest

from crawler.errors import InvalidArgument, NotFound
from crawler.model.access import Role, TokenWish
from tests.clients import Client
from tests.clusters import CALL, Cluster, request

ADMIN = TokenWish("first", Role.ADMIN)
LAST_NS = 2**63 - 1
LASTING = "is the last token of an admin without labels and without an expiration time"


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    cluster.master("1")
    yield cluster
    cluster.stop()


@pytest.fixture
def local(cluster):
    """A client of this machine, without a token."""
    return cluster.client()


@pytest.fixture
def with_token(cluster):
    """Returns a client with a token."""
    made = []

    def client(text):
        made.append(Client(cluster.nodes[0].address, token=lambda: text))
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (TokenWish("t", Role.VIEWER), "role: 'viewer' .*; allowed is admin"),
        (TokenWish("t", Role.ADMIN, {"team": "a"}), "labels: team .*; allowed is none"),
        (TokenWish("t", Role.ADMIN, {}, LAST_NS), rf"expiration_time: {LAST_NS} .*allowed is 0"),
    ],
    ids=["role", "labels", "end"],
)
def test_the_first_token_is_of_an_admin_who_can_always_make_others(local, with_token, wish, told):
    with pytest.raises(InvalidArgument, match=told):
        local.create_token(wish, CALL)
    assert local.tokens(CALL) == []
    admin = with_token(local.create_token(ADMIN, CALL).text)
    assert admin.create_token(wish, CALL).token.role is wish.role


def test_http_refuses_such_a_first_token_too(cluster, local):
    status, _, told = request(cluster.nodes[0], "POST", "/crawler/token", {"role": "operator"})
    assert status == 400
    assert "role: 'operator' is not allowed for the first token" in str(told)


def test_the_last_lasting_admin_stays_as_long_as_there_are_others(local, with_token):
    first = local.create_token(ADMIN, CALL)
    admin = with_token(first.text)
    other = admin.create_token(TokenWish("o", Role.ADMIN, {}, LAST_NS), CALL).token
    with pytest.raises(InvalidArgument, match=f"id: '{first.token.id}' {LASTING}"):
        admin.revoke_token(first.token.id, CALL)
    assert admin.revoke_token(other.id, CALL).id == other.id
    assert admin.revoke_token(first.token.id, CALL).id == first.token.id
    assert local.tokens(CALL) == []  # protected mode again


def test_two_admins_that_revoke_each_other_at_once_leave_one(local, with_token):
    one = local.create_token(ADMIN, CALL)
    admin = with_token(one.text)
    two = admin.create_token(ADMIN, CALL)
    admin.create_token(TokenWish("viewer", Role.VIEWER), CALL)

    def revoke(id):
        try:
            return admin.revoke_token(id, CALL)
        except InvalidArgument as error:
            return error

    ends = gevent.joinall([gevent.spawn(revoke, each.token.id) for each in (one, two)])
    assert sum(isinstance(each.value, InvalidArgument) for each in ends) <= 1
    left = [each for each in (one, two) if each.token.id not in revoked(ends)]
    assert len(left) == 1
    assert {token.name for token in with_token(left[0].text).tokens(CALL)} == {"first", "viewer"}


def revoked(ends):
    return {getattr(each.value, "id", "") for each in ends}


def test_an_unknown_id_is_told(local):
    with pytest.raises(NotFound, match="no token 'abc'; `crawler token list` shows those"):
        local.revoke_token("abc", CALL)
