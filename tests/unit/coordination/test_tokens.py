"""Tokens as etcd stores them: only the leader writes them, and no secret is among what is kept."""

import json
from dataclasses import replace

import pytest

from crawler.clock import settle
from crawler.coordination.keys import Keys
from crawler.coordination.memory import MemoryStore
from crawler.coordination.store import Delete, KeyValue, Put
from crawler.coordination.token_secret import hash_of, is_secret, new_parts, new_salt, parts_of
from crawler.coordination.tokens import UNREADABLE, Tokens, decode_token, encode_token
from crawler.errors import Conflict, InvalidArgument, LeadershipLost, NotFound, Unavailable
from crawler.model.access import Role, Token, TokenWish
from crawler.model.records import Leadership
from crawler.node.master.token_requests import TokenRequests
from crawler.settings.sections import CoordinationSettings
from tests.waiting import eventually

KEYS = Keys(CoordinationSettings())
TOKEN = Token("0123456789ab", "deploy", Role.OPERATOR, b"hash", b"salt", 5, 9, {"team": "a"})


def fail(error):
    raise error


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


@pytest.mark.parametrize("value", [b"", b"\xff", b"{}", b"[" * 100_000, b'{"Role": "viewer"}'])
def test_a_token_that_cannot_be_read_is_there_and_lets_nobody_in(
    store, clock, leadership, tokens, value, caplog
):
    key = KEYS.token(TOKEN.id)
    store.txn([], [Put(key, value)])
    eventually(lambda: len(tokens) == 1)
    found = tokens.get(TOKEN.id)
    assert (found.name, found.has_expired(clock.time_ns())) == (UNREADABLE, True)
    assert not is_secret("", found.hashed, found.salt)
    assert "a token cannot be read; it lets nobody in" in caplog.text
    tokens.revoke(leadership, TOKEN.id)
    assert len(tokens) == 0


def test_with_a_token_that_cannot_be_read_the_next_is_of_an_admin(store, clock, leadership, tokens):
    store.txn([], [Put(KEYS.token("0"), b"?")])
    eventually(lambda: len(tokens) == 1)
    requests = TokenRequests(leadership, tokens, clock)
    with pytest.raises(InvalidArgument, match="the first that can be read; allowed is admin"):
        requests.create(TokenWish("reads", Role.VIEWER))
    made = requests.create(TokenWish("ours", Role.ADMIN))
    requests.create(TokenWish("reads", Role.VIEWER))
    with pytest.raises(InvalidArgument, match="is the last token of an admin"):
        requests.revoke(made.token.id)
    assert requests.revoke("0").name == UNREADABLE


def test_tokens_know_for_how_long_the_store_has_told_nothing(store, clock, tokens, monkeypatch):
    clock.advance(100.0)
    assert tokens.silence_s == 0.0
    with monkeypatch.context() as away:
        away.setattr(store, "range", lambda *_: fail(Unavailable("etcd is away")))
        store.break_watches()
        settle()
        clock.advance(50.0)
        assert tokens.silence_s == pytest.approx(50.0)
        store.txn([], [Put(KEYS.token(TOKEN.id), encode_token(TOKEN))])
    clock.advance(1.0)
    eventually(lambda: tokens.silence_s == 0.0)
    assert tokens.get(TOKEN.id) == TOKEN


def test_tokens_follow_a_store_that_was_restored(store, clock, leadership, tokens):
    tokens.add(leadership, TOKEN)
    backup = MemoryStore(clock)
    backup.txn([], [Put(KEYS.token("b"), encode_token(replace(TOKEN, id="b")))])
    tokens.mirror._store = backup
    store.break_watches()
    settle()
    clock.advance(1.0)
    eventually(lambda: list(tokens.all()) == ["b"])
    backup.txn([], [Delete(KEYS.token("b"))])
    eventually(lambda: len(tokens) == 0)
    backup.close()


def test_the_text_of_a_token_has_its_id_and_its_secret_and_the_hash_fits_no_other():
    parts, salt = new_parts(), new_salt()
    assert parts_of(parts.text) == parts
    hashed = hash_of(parts.secret, salt)
    assert is_secret(parts.secret, hashed, salt)
    assert not is_secret(new_parts().secret, hashed, salt)
    assert not is_secret(parts.secret, hashed, new_salt())
    assert parts.secret.encode() not in encode_token(Token(parts.id, "", Role.VIEWER, hashed, salt))
