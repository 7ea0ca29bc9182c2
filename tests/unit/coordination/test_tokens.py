"""Tokens as etcd stores them: only the leader writes them, and no secret is among what is kept."""

import json

import pytest

from crawler.coordination.keys import Keys
from crawler.coordination.store import KeyValue, Put
from crawler.coordination.token_secret import hash_of, is_secret, new_parts, new_salt, parts_of
from crawler.coordination.tokens import Tokens, decode_token, encode_token, node_secret
from crawler.errors import Conflict, LeadershipLost, NotFound
from crawler.model.access import Role, Token
from crawler.model.records import Leadership
from crawler.settings.sections import CoordinationSettings
from tests.waiting import eventually

KEYS = Keys(CoordinationSettings())
TOKEN = Token("0123456789ab", "deploy", Role.OPERATOR, b"hash", b"salt", 5, 9, {"team": "a"})


@pytest.fixture
def tokens(store, clock, supervisor):
    made = Tokens(store, KEYS, clock)
    made.mirror.start(supervisor)
    eventually(lambda: made.are_known)
    return made


def test_a_token_comes_back_as_it_was():
    found = decode_token(KEYS, KeyValue(KEYS.token(TOKEN.id), encode_token(TOKEN), 1, 1))
    assert found == TOKEN


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Role": "root"}, "root"),
        ({"Hash": ""}, "Hash is ''; bytes in base64"),
        ({"Salt": "%%%"}, "Salt is '%%%'"),
        ({"ID": "other"}, "ID is 'other', but the key says"),
        ({"ExpirationTime": -1}, "ExpirationTime is -1"),
        ({"Labels": {"team": 1}}, "no map of text"),
    ],
)
def test_a_value_that_is_no_token_is_refused(change, told):
    value = json.dumps({**json.loads(encode_token(TOKEN)), **change}).encode()
    with pytest.raises(ValueError, match=told):
        decode_token(KEYS, KeyValue(KEYS.token(TOKEN.id), value, 1, 1))


def test_a_token_counts_at_once_where_it_was_made_and_elsewhere_when_the_watch_tells(
    store, clock, supervisor, leadership, tokens
):
    elsewhere = Tokens(store, KEYS, clock)
    elsewhere.mirror.start(supervisor)
    tokens.add(leadership, TOKEN)
    assert tokens.get(TOKEN.id) == TOKEN
    eventually(lambda: elsewhere.get(TOKEN.id) == TOKEN)
    tokens.revoke(leadership, TOKEN.id)
    assert (tokens.get(TOKEN.id), len(tokens)) == (None, 0)
    eventually(lambda: elsewhere.get(TOKEN.id) is None)


def test_who_leads_no_more_makes_and_ends_no_token(leadership, tokens):
    former = Leadership(leadership.key, leadership.revision - 1)
    with pytest.raises(LeadershipLost):
        tokens.add(former, TOKEN)
    assert tokens.get(TOKEN.id) is None
    tokens.add(leadership, TOKEN)
    with pytest.raises(LeadershipLost):
        tokens.revoke(former, TOKEN.id)
    assert tokens.get(TOKEN.id) == TOKEN


def test_an_id_is_given_once_and_what_is_not_there_cannot_be_revoked(leadership, tokens):
    tokens.add(leadership, TOKEN)
    with pytest.raises(Conflict):
        tokens.add(leadership, TOKEN)
    with pytest.raises(NotFound, match="no token 'nobody'; `crawler token list`"):
        tokens.revoke(leadership, "nobody")


def test_the_secret_of_nodes_is_made_once(store):
    made = node_secret(store, KEYS)
    assert len(made) >= 43
    assert node_secret(store, KEYS) == made
    store.txn([], [Put(KEYS.node_secret, b"by hand")])
    assert node_secret(store, KEYS) == "by hand"


def test_the_text_of_a_token_has_its_id_and_its_secret_and_the_hash_fits_no_other():
    parts, salt = new_parts(), new_salt()
    assert parts_of(parts.text) == parts
    hashed = hash_of(parts.secret, salt)
    assert is_secret(parts.secret, hashed, salt)
    assert not is_secret(new_parts().secret, hashed, salt)
    assert not is_secret(parts.secret, hashed, new_salt())
    assert parts.secret.encode() not in encode_token(Token(parts.id, "", Role.VIEWER, hashed, salt))
