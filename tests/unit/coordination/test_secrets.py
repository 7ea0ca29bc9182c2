"""Secrets as etcd stores them: only keys of nodes open them, and only under their own names."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.coordination.keys import Keys
from crawler.coordination.memory import MemoryStore
from crawler.coordination.sealing import CannotUnseal, NoKey, Seals, key_id, new_key
from crawler.coordination.secrets import Secrets
from crawler.coordination.store import MAX_OPERATIONS, Get, Put
from crawler.errors import LeadershipLost, NotFound, Rejected
from crawler.model.records import Leadership
from crawler.model.secrets import Opened, Secret, SecretWish, filled, names_in
from crawler.settings.sections import CoordinationSettings

KEYS = Keys(CoordinationSettings())
OLD, NEW = new_key(), new_key()
CANARY = "open-sesame"
TEXTS = st.text(st.characters(codec="utf-8"))


def secrets_of(store, *keys):
    return Secrets(store, KEYS, Seals(keys))


def set_canary(store, leadership, *keys, name="shop"):
    wish = SecretWish(name, CANARY)
    return secrets_of(store, *(keys or [OLD])).put(leadership, wish, 5, "ann")


@given(TEXTS, TEXTS)
def test_what_is_sealed_comes_back_under_its_name_alone(value, other):
    seals = Seals([OLD])
    sealed = seals.seal("shop", value)
    assert seals.unseal("shop", sealed) == value
    assert sealed != seals.seal("shop", value)
    if other != "shop":
        with pytest.raises(CannotUnseal):
            seals.unseal(other, sealed)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_sealed_value_that_somebody_changed_is_refused(at, flipped):
    sealed = bytearray(Seals([OLD]).seal("shop", CANARY))
    sealed[at % len(sealed)] ^= flipped
    with pytest.raises(CannotUnseal):
        Seals([OLD]).unseal("shop", bytes(sealed))


@pytest.mark.parametrize("size", [0, 5, 12, 20])
def test_a_sealed_value_that_was_cut_off_is_refused(size):
    with pytest.raises(CannotUnseal):
        Seals([OLD]).unseal("shop", Seals([OLD]).seal("shop", CANARY)[:size])


def test_the_first_key_seals_and_each_opens():
    old, both, new = Seals([OLD]), Seals([NEW, OLD]), Seals([NEW])
    assert both.unseal("shop", old.seal("shop", CANARY)) == CANARY
    assert new.unseal("shop", both.seal("shop", CANARY)) == CANARY
    with pytest.raises(CannotUnseal, match=r"'shop' cannot be decrypted .* secret set shop"):
        new.unseal("shop", old.seal("shop", CANARY))
    assert (both.key_id, old.key_id) == (key_id(NEW), key_id(OLD))


def test_without_a_key_it_is_told_how_to_make_one(store, leadership):
    with pytest.raises(NoKey, match=r"secrets\.key: nothing given; .*`crawler secret key`"):
        secrets_of(store).put(leadership, SecretWish("shop", CANARY), 5, "ann")
    set_canary(store, leadership)
    with pytest.raises(NoKey, match=r"secret 'shop': secrets\.key"):
        secrets_of(store).opened(["shop"])


def test_a_secret_is_read_by_who_has_the_key_and_listed_without_its_value(store, leadership):
    assert set_canary(store, leadership) == Secret("shop", 5, "ann", key_id(OLD))
    set_canary(store, leadership, NEW, name="bank")
    assert secrets_of(store, NEW, OLD).opened({"shop", "bank"}) == {
        "shop": Opened(CANARY),
        "bank": Opened(CANARY),
    }
    assert CANARY not in repr(Opened(CANARY, CANARY))
    assert [each.name for each in secrets_of(store).all()] == ["bank", "shop"]
    assert CANARY not in repr(SecretWish("shop", CANARY))
    assert CANARY not in json.dumps([str(kv) for kv in store.range("/").items])


class Asked(MemoryStore):
    """A store that notes how much each transaction reads."""

    def __init__(self, clock):
        super().__init__(clock)
        self.asked = []

    def txn(self, compares, success, failure=()):
        self.asked.append(sum(isinstance(each, Get) for each in success))
        return super().txn(compares, success, failure)


def test_all_secrets_of_a_run_are_read_at_once(clock):
    store = Asked(clock)
    key = KEYS.candidate(1)
    leadership = Leadership(key, store.txn([], [Put(key, b"m")]).revision)
    names = [f"s{number:03}" for number in range(MAX_OPERATIONS + 1)]
    for name in names:
        set_canary(store, leadership, name=name)
    for wanted, asked in ((names[:7], [7]), (names, [MAX_OPERATIONS, 1]), ([], [])):
        store.asked.clear()
        found = secrets_of(store, OLD).opened(set(wanted))
        assert found == dict.fromkeys(wanted, Opened(CANARY))
        assert store.asked == asked
    with pytest.raises(NotFound, match="no secret 'another'"):
        secrets_of(store, OLD).opened({"s000", "another", "s001"})
    store.close()


def test_a_later_value_counts_and_a_deleted_secret_is_named(store, leadership):
    secrets = secrets_of(store, OLD)
    set_canary(store, leadership)
    secrets.put(leadership, SecretWish("shop", "another"), 6, "bob")
    assert secrets.opened(["shop"])["shop"].value == "another"
    assert secrets.remove(leadership, "shop").set_by == "bob"
    for act in (lambda: secrets.opened(["shop"]), lambda: secrets.remove(leadership, "shop")):
        with pytest.raises(NotFound, match="no secret 'shop'"):
            act()


def test_the_value_before_is_kept_sealed_also_when_a_secret_is_sealed_anew(store, leadership):
    old, both, new = (secrets_of(store, *keys) for keys in ([OLD], [NEW, OLD], [NEW]))
    for secrets, value in ((old, CANARY), (old, "another one"), (both, "another one")):
        secrets.put(leadership, SecretWish("shop", value), 6, "bob")
    assert new.opened(["shop"]) == {"shop": Opened("another one", CANARY)}
    new.put(leadership, SecretWish("shop", "a third one"), 7, "bob")
    assert new.opened(["shop"]) == {"shop": Opened("a third one", "another one")}
    assert not [kv for kv in store.range("/").items if b"one" in kv.value]


def test_a_value_before_that_no_key_opens_is_left_out(store, leadership):
    set_canary(store, leadership)
    set_canary(store, leadership, NEW)
    assert secrets_of(store, NEW).opened(["shop"]) == {"shop": Opened(CANARY)}


def test_only_the_leader_writes(store, leadership):
    set_canary(store, leadership)
    before = Leadership(leadership.key, leadership.revision + 100)
    with pytest.raises(LeadershipLost):
        set_canary(store, before)
    with pytest.raises(LeadershipLost):
        secrets_of(store).remove(before, "shop")


def test_a_secret_that_was_copied_to_another_name_is_refused(store, leadership):
    set_canary(store, leadership)
    stolen = store.get(KEYS.secret("shop")).value
    store.txn([], [Put(KEYS.secret("mine"), stolen)])
    with pytest.raises(CannotUnseal, match="'mine'"):
        secrets_of(store, OLD).opened(["mine"])


@pytest.mark.parametrize("value", [b"", b"{}x", b'{"Sealed": "%"}', b'{"Sealed": 5}'])
def test_a_value_that_is_no_secret_is_named_and_harms_no_other(store, leadership, value):
    set_canary(store, leadership)
    store.txn([], [Put(KEYS.secret("odd"), value)])
    assert [each.name for each in secrets_of(store).all()] == ["shop"]
    with pytest.raises(Rejected, match=r"secret 'odd' cannot be read: .*secret set odd"):
        secrets_of(store, OLD).opened(["odd"])


PARAMETERS = {
    "login": "secret:shop",
    "settings": {"headers": {"Cookie": "secret:bank.1"}, "proxies": ["secret:p", "http://p"]},
    "no": ["secret:", "secret:a b", "Secret:shop", "secret:shop ", " secret:shop", 5, None, True],
}


def test_a_task_names_secrets_by_texts_that_are_nothing_else():
    assert names_in(PARAMETERS) == {"shop", "bank.1", "p"}
    assert filled(PARAMETERS, {"shop": "1", "bank.1": "2", "p": "secret:shop"}) == {
        "login": "1",
        "settings": {"headers": {"Cookie": "2"}, "proxies": ["secret:shop", "http://p"]},
        "no": PARAMETERS["no"],
    }
