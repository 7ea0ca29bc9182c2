"""Whose tokens of an OpenID provider count, and as what: with a real provider, real keys."""

import base64
import hmac
import json
import sys

import gevent
import pytest
from gevent.event import Event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwk

from crawler.api.doors import Approach, Doors, NoTokens
from crawler.api.oidc import keys
from crawler.api.oidc.people import OidcPeople
from crawler.clock import ManualClock, SystemClock
from crawler.coordination.keys import Keys
from crawler.coordination.memory import MemoryStore
from crawler.errors import ConfigError, CrawlerError, Forbidden, Unauthenticated, Unavailable
from crawler.model.access import Caller, Need, Role
from crawler.node import access
from crawler.settings.sections import ApiSettings, CoordinationSettings
from tests.oidc_provider import CLIENT, Provider, new_key
from tests.waiting import eventually

ROLES = {"crawl-operators": "operator", "crawl-admins": "admin", "crawl-watch": "metrics"}


class Clock(ManualClock):
    """A clock that a test moves, with the time of day."""

    def __init__(self):
        super().__init__(SystemClock().time_ns())


@pytest.fixture
def provider():
    with Provider() as provider:
        yield provider


@pytest.fixture
def clock():
    return Clock()


def settings_of(provider, **more):
    given = {"oidc_issuer": provider.issuer, "oidc_client": CLIENT, "oidc_roles": ROLES, **more}
    return ApiSettings(**given)


@pytest.fixture
def people(provider, clock):
    return OidcPeople(settings_of(provider), clock)


def refused(people, token, match, error=Unauthenticated):
    with pytest.raises(error, match=match) as told:
        people.caller(token)
    assert not any(part in str(told.value) for part in token.split(".") if len(part) > 20)
    return told.value


@pytest.mark.parametrize("kind", ["RSA", "EC", "OKP"])
def test_a_right_token_says_who_somebody_is(provider, people, kind):
    if kind != "RSA":
        provider.keys = [new_key("new", kind)]
    expected = Caller("alice@example.org (oidc)", Role.OPERATOR)
    assert people.caller(provider.token()) == expected
    assert (
        people.caller(provider.token(header={"typ": "at+jwt"}, aud=["x", CLIENT], azp=CLIENT))
        == expected
    )
    assert people.caller(provider.token(header={"kid": None})) == expected
    assert people.caller(provider.token(header={"nonce": "x", "x5t": "eHg"})) == expected
    assert provider.times("/keys") == 1


@pytest.mark.parametrize(("more", "name"), [
    ({"email_verified": False, "preferred_username": "al"}, "al"),
    ({"email_verified": False}, "u-1"),
    ({"email": None, "preferred_username": "Алиса\n\u202e\ud800 x"}, "Алиса??? x"),
    ({"email": "a" * 500}, "a" * 100),
    ({"email": {"a": 1}}, "u-1"),
])  # fmt: skip
def test_the_name_in_the_records_is_one_line_that_the_provider_stands_for(
    provider, people, more, name
):
    assert people.caller(provider.token(**more)).name == f"{name} (oidc)"


@pytest.mark.parametrize(("claim", "value", "role"), [
    ("groups", ["crawl-operators", "crawl-admins", "crawl-watch"], Role.ADMIN),
    ("groups", ["crawl-watch"], Role.METRICS),
    ("groups", "crawl-admins", Role.ADMIN),
    ("groups", ["crawl", "crawl-adminss", "CRAWL-ADMINS"], None),
    ("groups", [["crawl-admins"], {"crawl-admins": 1}, 1, None, True], None),
    ("groups", {"crawl-admins": True}, None),
    ("groups", 7, None),
    ("groups", None, None),
    ("realm_access.roles", {"roles": ["crawl-admins"]}, Role.ADMIN),
    ("realm_access.roles", ["crawl-admins"], None),
    ("realm_access.roles", {"roles": None}, None),
    ("https://example.org/roles", ["crawl-admins"], Role.ADMIN),
])  # fmt: skip
def test_a_claim_becomes_the_strongest_role(provider, clock, claim, value, role):
    people = OidcPeople(settings_of(provider, oidc_claim=claim), clock)
    name = claim if claim.startswith("https") else claim.partition(".")[0]
    token = provider.token(**{"groups": None, name: value})
    if role is None:
        told = refused(people, token, "has no role here", Forbidden)
        assert f"the claim {claim} " in str(told)
        assert "allowed: 'crawl-operators', 'crawl-admins', 'crawl-watch'" in str(told)
    else:
        assert people.caller(token).role is role


@pytest.mark.parametrize(("more", "match"), [
    ({"iss": "https://evil.example"}, r"claim iss is not right; allowed: 'http://127"),
    ({"iss": None}, "claim iss is missing"),
    ({"aud": "another"}, rf"claim aud is not right; allowed: '{CLIENT}'"),
    ({"aud": ["a", "b"]}, "claim aud is not right"),
    ({"aud": None}, "claim aud is missing"),
    ({"aud": ["a", CLIENT]}, "claim azp is missing"),
    ({"aud": ["a", CLIENT], "azp": "a"}, rf"claim azp is not right; allowed: '{CLIENT}'"),
    ({"aud": ["a", CLIENT], "azp": [CLIENT]}, "claim azp is not right"),
    ({"aud": {CLIENT: 1}}, "claim aud is not right"),
    ({"sub": None}, "claim sub is missing"),
    ({"exp": None}, "claim exp is missing"),
    ({"exp": "tomorrow"}, "claim exp is not right"),
    ({"exp": True}, "claim exp is not right"),
    ({"exp": 10}, "has expired; crawler login"),
    ({"nbf": 2**40}, "claim nbf is not right; allowed: a time that has come"),
    ({"iat": 2**40}, "claim iat is not right; allowed: a time that has come"),
])  # fmt: skip
def test_a_token_with_a_wrong_claim_does_not_count(provider, people, more, match):
    refused(people, provider.token(**more), match)


def test_clocks_may_differ_a_little(provider, people, clock):
    now = clock.time_ns() // 10**9
    assert people.caller(provider.token(exp=now - 20, nbf=now + 20, iat=now + 20))
    refused(people, provider.token(exp=now - 31), "expired")
    refused(people, provider.token(nbf=now + 32), "nbf")
    refused(people, provider.token(iat=now + 32), "iat")


def test_a_further_audience_counts_if_it_is_set(provider, clock):
    people = OidcPeople(settings_of(provider, oidc_audience="crawler-api"), clock)
    assert people.caller(provider.token(aud="crawler-api"))
    assert people.caller(provider.token(aud=["crawler-api", "account"], azp="deploy-bot"))
    assert people.caller(provider.token())
    refused(people, provider.token(aud="x"), f"allowed: '{CLIENT}' or 'crawler-api'")


def coded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_only_the_provider_can_sign(provider, people):
    head, body, signature = provider.token().split(".")
    none = coded({"alg": "none", "kid": "rsa-1"})
    for token in (f"{none}.{body}.", f"{none}.{body}.{signature}"):
        refused(people, token, "signed with 'none'; allowed: RS256")
    public = provider.keys[0].as_pem(private=False)
    for secret in (public, provider.keys[0].as_der(private=False)):
        for algorithm in ("HS256", "HS384", "HS512"):
            signed = f"{coded({'alg': algorithm, 'kid': 'rsa-1'})}.{body}"
            digest = hmac.digest(secret, signed.encode(), f"sha{algorithm[2:]}")
            mac = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            refused(people, f"{signed}.{mac}", f"signed with '{algorithm}'")
    other = new_key("rsa-1", "RSA")
    refused(people, provider.token(other), "bad signature")
    refused(people, provider.token(new_key("rsa-1", "EC")), "does not count")
    changed = coded({**provider.claims(), "groups": ["crawl-admins"]})
    refused(people, f"{head}.{changed}.{signature}", "bad signature")
    carried = {"jwk": other.as_dict(private=False), "jku": f"{provider.issuer}/mine"}
    refused(people, provider.token(other, header=carried), "does not count|no login")
    assert provider.times("/mine") == 0


@pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "", 1, None])
def test_other_tokens_of_the_provider_are_no_logins(provider, people, kind):
    head = {"alg": "RS256", "kid": "rsa-1", "typ": kind}
    body = coded(provider.claims())
    refused(people, f"{coded(head)}.{body}.AAAA", "its typ is|no login")


def test_what_a_header_calls_critical_must_be_known(provider, people):
    head = coded({"alg": "RS256", "kid": "rsa-1", "crit": ["policy"], "policy": 1})
    refused(people, f"{head}.{coded(provider.claims())}.AAAA", "does not count: unsupported header")


def test_a_secret_among_the_public_keys_is_no_key(provider, people):
    secret = jwk.generate_key("oct", 256, {"kid": "s"})
    provider.shown = json.dumps({"keys": [secret.as_dict(private=True), 7, {"kty": "RSA"}]})
    refused(people, provider.token(header={"kid": "s"}), "key 's', which http.* does not have")


def test_keys_are_fetched_when_the_first_token_comes_and_again_for_a_new_key(
    provider, people, clock
):
    assert provider.asked == []
    first = provider.token()
    assert people.caller(first)
    provider.keys = [new_key("ec-2", "EC"), *provider.keys]
    refused(people, provider.token(), "signed with the key 'ec-2', which http://127")
    assert provider.times("/keys") == 1
    clock.advance(keys.PAUSE_S)
    assert people.caller(provider.token())
    assert people.caller(first)
    for number in range(5):
        token = provider.token(header={"kid": f"made-up-{number}"})
        refused(people, token, f"the key 'made-up-{number}'")
    assert provider.times("/keys") == 2


def test_a_key_that_the_provider_withdrew_counts_no_more_after_an_hour(provider, people, clock):
    old = provider.token(exp=2**40)
    assert people.caller(old)
    provider.keys = [new_key("ec-2", "EC")]
    clock.advance(keys.FRESH_S + 1)
    refused(people, old, "signed with the key 'rsa-1', which")


def test_keys_are_fetched_in_the_background_before_anybody_has_to_wait(provider, people, clock):
    old = provider.token(exp=2**40)
    assert people.caller(old)
    provider.keys = [new_key("ec-2", "EC")]
    clock.advance(keys.SOON_S + 1)
    assert people.caller(old)  # nobody waits for the provider whose key is known

    def is_gone():
        try:
            return not people.caller(old)
        except Unauthenticated:
            return True

    assert eventually(is_gone)


def test_a_provider_that_was_away_long_ago_is_waited_for_again(provider, people, clock):
    old = provider.token(exp=2**40)
    assert people.caller(old)
    clock.advance(keys.FRESH_S + 1)
    provider.shown = "no JSON"
    assert people.caller(old)
    provider.shown, provider.keys = None, [new_key("ec-2", "EC")]
    clock.advance(keys.LATELY_S)
    refused(people, old, "signed with the key 'rsa-1', which")


def test_while_the_provider_is_silent_one_caller_waits_and_known_keys_count(
    provider, people, clock, monkeypatch
):
    token = provider.token(exp=2**40)
    assert people.caller(token)
    asked_by = []

    def silent(issuer):
        asked_by.append(gevent.getcurrent())
        raise Unavailable("the OpenID provider is silent")

    monkeypatch.setattr(keys, "discover", silent)
    clock.advance(keys.FRESH_S + 1)
    for times in range(1, 4):
        assert people.caller(token)
        eventually(lambda times=times: len(asked_by) == times)
        clock.advance(keys.PAUSE_S)
    assert [each is gevent.getcurrent() for each in asked_by] == [True, False, False]


def test_keys_that_are_a_day_old_count_no_more_though_the_provider_is_away(provider, people, clock):
    token = provider.token(exp=2**40)
    assert people.caller(token)
    provider.stop()
    clock.advance(keys.LONGEST_S)
    assert people.caller(token)
    clock.advance(1.0)
    refused(people, token, "cannot be checked now", Unavailable)


def test_while_the_provider_is_away_known_keys_count_and_others_are_told_why(
    provider, people, clock
):
    token = provider.token(exp=2**40)
    assert people.caller(token)
    provider.stop()
    clock.advance(2 * keys.FRESH_S)
    assert people.caller(token)
    other = new_key("ec-2", "EC")
    told = refused(
        people, provider.token(other), "cannot be checked now: .*gives no answer", Unavailable
    )
    assert told.retry_after_s == keys.PAUSE_S
    assert people.caller(token)


def test_a_silent_provider_is_asked_once_in_a_while(provider, people, clock, monkeypatch):
    monkeypatch.setattr(keys, "PATIENCE_S", 0.05)
    provider.before = Event().wait
    for _ in range(3):
        refused(people, provider.token(), "the OpenID provider is silent", Unavailable)
    assert len(provider.asked) == 1


@pytest.mark.parametrize(("document", "shown", "match"), [
    ({"issuer": "https://other.example"}, None, "is of the issuer 'https://other.example'"),
    ({"jwks_uri": "file:///etc/passwd"}, None, "gives jwks_uri: 'file:///etc/passwd'; allowed"),
    ({"jwks_uri": None}, None, "gives jwks_uri: NoneType"),
    ({}, "no JSON", "gives no answer at .*/keys"),
    ({}, "[" * 100_000, "gives no answer at .*/keys"),
    ({}, "[]", "no JSON object"),
    ({}, '{"keys": {}}', "no list of keys"),
])  # fmt: skip
def test_a_provider_that_answers_otherwise_is_told(provider, people, document, shown, match):
    provider.document, provider.shown = document, shown
    refused(people, provider.token(), match, Unavailable)


@pytest.fixture(scope="module")
def known():
    """The people of a provider whose key is known, behind doors."""
    with Provider() as provider:
        people = OidcPeople(settings_of(provider), Clock())
        people.caller(provider.token())
        yield Doors(NoTokens(), lambda: "secret", Clock(), people=people), provider.token()


PARTS = st.one_of(
    st.text(max_size=20),
    st.binary(max_size=40).map(lambda it: base64.urlsafe_b64encode(it).decode().rstrip("=")),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "x"]), inner)
        ),
    ).map(coded),
    st.fixed_dictionaries(
        {"alg": st.sampled_from(["RS256", "ES256", "none", "HS256"]), "kid": st.just("rsa-1")},
        optional={"typ": st.text(max_size=3), "crit": st.just(["b64"]), "b64": st.just(False)},
    ).map(coded),
)


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_other_text_is_a_login(known, data):
    doors, right = known
    own = st.sampled_from(right.split("."))
    token = ".".join(data.draw(st.tuples(*[own | PARTS] * 3)))
    if token.replace("=", "") == right:
        return
    approach = Approach(data.draw(st.uuids().map(str)), f"Bearer {token}")
    with pytest.raises(CrawlerError) as told:
        doors.admit(approach, Need.READ)
    assert told.value.code in ("UNAUTHENTICATED", "PERMISSION_DENIED")


def test_with_a_provider_nobody_is_let_in_without_login_or_token(known):
    doors, right = known
    for address in ("127.0.0.1", "10.0.0.5"):
        with pytest.raises(Unauthenticated, match="needs a login or a token: run crawler login"):
            doors.admit(Approach(address), Need.READ)
    assert doors.admit(Approach("10.0.0.5", f"Bearer {right}"), Need.TASKS).role is Role.OPERATOR
    with pytest.raises(Forbidden, match=r"alice@example.org \(oidc\) has the role operator"):
        doors.admit(Approach("10.0.0.5", f"Bearer {right}"), Need.CLUSTER)
    assert doors.admit(Approach("10.0.0.5", "Bearer secret"), Need.NODES).role is Role.NODE


def test_a_node_with_an_issuer_lets_its_people_in(provider):
    store, clock = MemoryStore(), SystemClock()
    doors = access.Access(store, Keys(CoordinationSettings()), settings_of(provider), clock).doors
    right = Approach("10.0.0.5", f"Bearer {provider.token()}")
    assert doors.admit(right, Need.READ).name == "alice@example.org (oidc)"
    with pytest.raises(Unauthenticated, match="crawler login"):
        doors.admit(Approach("127.0.0.1"), Need.READ)


def test_without_the_library_it_is_told_what_to_install(provider, clock, monkeypatch):
    assert access.people_of(ApiSettings(), clock) is None
    monkeypatch.setitem(sys.modules, "crawler.api.oidc.people", None)
    with pytest.raises(ConfigError, match=r"api.oidc_issuer: .*distributed-crawler\[oidc\]"):
        access.people_of(settings_of(provider), clock)
