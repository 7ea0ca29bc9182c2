"""Pages of many tasks: each order, each filter, whatever changes between two pages."""

import base64
from collections import Counter
from functools import cmp_to_key

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.clock import ManualClock
from crawler.coordination.memory import MemoryStore
from crawler.errors import InvalidArgument
from crawler.model.records import (
    NOT_PAUSED,
    Counts,
    Owner,
    Pause,
    Query,
    Report,
    Resource,
    Sort,
    Spec,
    State,
    ToldState,
)
from crawler.model.sorting import TOLD_STATES
from crawler.node.master import listing
from crawler.node.master.live_counts import LiveCounts
from crawler.node.master.mirrors import Mirrors
from tests.clusters import KEYS
from tests.depth import examples

A = {"team": "a"}
MANY = 2500
PAUSED = Pause("paused by loopback")


class Leader:
    """What a leader knows of tasks. A test changes them as its writer would."""

    def __init__(self):
        self.mirrors = Mirrors(MemoryStore(), KEYS, ManualClock(), lambda: None)
        self.live = LiveCounts(self.mirrors.resource)
        self._revision = 0

    def put(self, *tasks):
        self._revision += 1
        stored = [(KEYS.resource(each.name), each) for each in tasks]
        self.mirrors.resources.adopt(stored, self._revision)

    def remove(self, name):
        self._revision += 1
        self.mirrors.resources.apply(KEYS.resource(name), None, self._revision)

    def list(self, query):
        counts_of = self.live.counts_of_run if query.shards else self.live.counts_of_task
        return listing.page_of(self.mirrors, query, counts_of)

    def names(self, **query):
        return [each.name for each in self.list(Query(1000, **query)).resources]

    def walk(self, **query):
        """Return all pages."""
        pages, token = [], ""
        while not pages or token:
            pages.append(self.list(Query(page_token=token, **query)))
            token = pages[-1].next_token
        return pages


# -- each order, against a sorted list --------------------------------------------------------

NAMES = st.sampled_from(["a", "ab", "abc", "a\0", "a~1", "B", "b", "ä", "äb", "🐍", "~"])
OWNERS = st.none() | st.sampled_from(["w-1", "w-2", "w-2\x00", "wä"]).map(lambda id: Owner(id, "h"))
SPECS = st.builds(
    Spec,
    NAMES,
    spider=st.sampled_from(["", "s", "sp", "ß"]),
    labels=st.sampled_from([{}, A, {"team": "b"}]),
    shard=st.sampled_from([0, 0, 0, 1]),
    project=st.sampled_from(["", "", "shop"]),
)
TASKS = st.builds(
    Resource,
    SPECS,
    owner=OWNERS,
    state=st.sampled_from(State),
    paused=st.sampled_from([NOT_PAUSED, PAUSED]),
    stopped=st.booleans(),
    awaits_spider=st.booleans(),
    creation_time=st.integers(-2, 2) | st.sampled_from([-(2**63), 2**63 - 1]),
    counts=st.builds(Counts, st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
)
QUERIES = st.builds(
    Query,
    page_size=st.integers(1, 4),
    state=st.none() | st.sampled_from([*State, *ToldState]),
    shards=st.booleans(),
    labels=st.sampled_from([{}, {}, A]),
    search=st.sampled_from(["", "", "b", "Ä", "~"]),
    spider=st.sampled_from(["", "", "s", "shop/s", "SS"]),
    node=st.sampled_from(["", "", "w-2"]),
    sort=st.sampled_from(Sort),
    descending=st.booleans(),
)
VALUES = {
    Sort.NAME: lambda each: each.name,
    Sort.STATE: lambda each: TOLD_STATES.index(each.told_state),
    Sort.SPIDER: lambda each: each.spec.spider_name,
    Sort.NODE: lambda each: each.owner.node_id if each.owner else "",
    Sort.CREATED: lambda each: each.creation_time,
    Sort.PAGES: lambda each: each.counts.pages,
    Sort.ITEMS: lambda each: each.counts.items,
    Sort.FAILURES: lambda each: each.counts.failures,
}


def comparing(query):
    """Return what compares two tasks in the order of a query."""
    value, sign = VALUES[query.sort], -1 if query.descending else 1

    def compare(one, other):
        first, second = value(one), value(other)
        if first != second:
            return sign if first > second else -sign
        return (one.name > other.name) - (one.name < other.name)

    return compare


def matching(query, tasks):
    """Return those that match, but for their state."""
    return [
        each
        for each in tasks
        if (query.shards or not each.spec.shard)
        and query.labels.items() <= each.spec.labels.items()
        and query.search.casefold() in each.name.casefold()
        and query.spider in ("", each.spec.spider_name, f"{each.spec.project}/{each.spec.spider}")
        and query.node in ("", each.owner.node_id if each.owner else None)
    ]


def is_in(state, task):
    stored = isinstance(state, State)
    return state is None or (task.state is state if stored else task.told_state == state.value)


@settings(max_examples=examples(200))
@given(
    st.lists(TASKS, min_size=3, max_size=12),
    QUERIES,
    st.lists(st.lists(TASKS, max_size=3), max_size=4),
    st.lists(NAMES, max_size=4),
)
def test_each_page_has_what_a_sorted_list_has_behind_the_page_before(tasks, query, news, gone):
    leader, known = Leader(), {each.name: each for each in tasks}
    leader.put(*known.values())
    compare, token, last = comparing(query), "", None
    while True:
        page = leader.list(Query(**{**_fields(query), "page_token": token}))
        found = matching(query, known.values())
        wanted = [each for each in found if is_in(query.state, each)]
        behind = [each for each in wanted if last is None or compare(each, last) > 0]
        behind.sort(key=cmp_to_key(compare))
        assert page.resources == behind[: query.page_size]
        assert page.total == len(wanted)
        assert page.counts == {
            **dict.fromkeys(TOLD_STATES, 0),
            **Counter(each.told_state for each in found),
        }
        assert bool(page.next_token) == (len(behind) > query.page_size)
        token = page.next_token
        if not token:
            return
        last = page.resources[-1]
        changed = news.pop() if news else []
        known |= {each.name: each for each in changed}
        leader.put(*{each.name: each for each in changed}.values())
        if gone:
            name = gone.pop()
            known.pop(name, None)
            leader.remove(name)


def _fields(query):
    return {name: getattr(query, name) for name in Query.__slots__}


# -- tokens -----------------------------------------------------------------------------------


@pytest.fixture
def leader():
    """It has many tasks, every fifth of which is of team a."""
    leader = Leader()
    names = [f"t{number:04}" for number in range(MANY)]
    specs = [Spec(name, labels=A if at % 5 == 0 else {}) for at, name in enumerate(names)]
    leader.put(*map(Resource, specs))
    return leader


def test_a_name_is_a_token_in_the_order_by_name(leader):
    page = leader.list(Query(100, "t1000"))
    assert (len(page.resources), page.next_token, page.total) == (100, "t1100", MANY)
    assert leader.list(Query(100, "t1000~")).resources == page.resources
    page = leader.list(Query(100, "t1000", labels=A))
    assert (page.resources[0].name, page.next_token, page.total) == ("t1005", "t1500", MANY // 5)


def tokens_of(leader):
    """Return a token of each order, but for that by name alone."""
    orders = [(sort, way) for sort in Sort for way in (False, True)][1:]
    return {
        (sort, way): leader.list(Query(1, sort=sort, descending=way)).next_token
        for sort, way in orders
    }


def test_a_token_is_good_for_its_order_alone(leader):
    tokens = tokens_of(leader)
    assert len(set(tokens.values())) == len(tokens)
    for order, token in [*tokens.items(), ((Sort.NAME, False), "t1000")]:
        for sort, way in [(Sort.NAME, False), *tokens]:
            query = Query(1, token, sort=sort, descending=way)
            if (sort, way) == order:
                assert len(leader.list(query).resources) == 1
                continue
            with pytest.raises(InvalidArgument, match=f"page_token: .* by {sort.value}") as refused:
                leader.list(query)
            assert (", descending" in str(refused.value)) == way


def test_a_token_that_somebody_changed_is_refused(leader):
    token = leader.list(Query(1, sort=Sort.SPIDER)).next_token
    assert token.isascii()
    assert not set(token) & set("+/=&?# "), "it may stand in a path as it is"
    number = leader.list(Query(1, sort=Sort.PAGES)).next_token
    packed = base64.urlsafe_b64decode(number + "=" * (-len(number) % 4))
    mixed = base64.urlsafe_b64encode(packed.replace(b"\xa5pages", b"\xa6spider")).decode()
    others = [token[:-1], token[:-3], token + "A", f"{token}==", "!" + token, "ä"]
    for changed in [*others, mixed, mixed.rstrip("="), "\x00", "=", "a" * 10_000]:
        with pytest.raises(InvalidArgument, match=r"page_token: .*give none to begin"):
            leader.list(Query(1, changed, sort=Sort.SPIDER))


# -- what it costs ----------------------------------------------------------------------------


@pytest.fixture
def turns(monkeypatch):
    """What is done in each turn that others get."""
    done, acts = [], []

    def turn():
        done.append(1)
        for act in acts:
            act()

    monkeypatch.setattr(listing, "give_turn", turn)
    return done, acts


QUERIES_OF_ALL = [
    *(Query(sort=sort, descending=True) for sort in Sort),
    Query(labels=A),
    Query(search="9"),
    Query(state=State.DONE, spider="none"),
]


@pytest.mark.parametrize("query", QUERIES_OF_ALL, ids=str)
def test_others_have_turns_while_all_tasks_are_looked_at(leader, turns, query):
    leader.list(query)
    assert len(turns[0]) == MANY // listing.LOOKED_A_TURN


def test_a_page_by_name_looks_at_no_more_tasks_than_it_has(leader, turns, monkeypatch):
    looks, resource = [], leader.mirrors.resource
    monkeypatch.setattr(leader.mirrors, "all_resources", lambda: 1 / 0)
    monkeypatch.setattr(
        leader.mirrors, "resource", lambda name: looks.append(name) or resource(name)
    )
    leader.list(Query(100))
    assert len(looks) == 101
    for state in (State.DONE, ToldState.PAUSED, ToldState.STOPPED):
        page = leader.list(Query(100, state=state))
        assert (page.resources, page.total, page.counts["pending"]) == ([], 0, MANY)
    assert len(looks) == 101, "what is counted to be nothing is not looked for"


def test_the_pages_of_a_label_have_each_of_its_tasks_once_and_the_same_total(leader):
    pages = leader.walk(page_size=60, labels=A)
    assert {page.total for page in pages} == {MANY // 5}
    listed = [each.name for page in pages for each in page.resources]
    assert listed == [f"t{number:04}" for number in range(0, MANY, 5)]


def test_tasks_that_go_meanwhile_are_left_out_of_a_page_by_name(leader, turns):
    turns[1].append(lambda: [leader.remove(f"t{number}") for number in range(1500, MANY)])
    leader.put(*(Resource(Spec(f"t{number}"), state=State.DONE) for number in range(1400, 1600)))
    names = [each.name for each in leader.list(Query(1000, state=State.DONE)).resources]
    assert names == [f"t{number}" for number in range(1400, 1500)]


# -- what it says -----------------------------------------------------------------------------


@pytest.mark.parametrize("descending", [False, True])
def test_texts_are_in_the_order_of_their_characters_both_ways(descending):
    spiders = ["a", "a b", "aa", "ab", "b", "ä", "äa", "\uffff", "🐍"]
    leader = Leader()
    leader.put(
        *(Resource(Spec(f"{way}{at}", name)) for at, name in enumerate(spiders) for way in "xy")
    )
    pages = leader.walk(page_size=1, sort=Sort.SPIDER, descending=descending)
    tasks = [each for page in pages for each in page.resources]
    wanted = spiders[::-1] if descending else spiders
    assert [each.spec.spider for each in tasks] == [each for each in wanted for _ in "xy"]
    assert [each.name[0] for each in tasks] == list("xy" * len(spiders)), "alike are by name"


@pytest.mark.parametrize("sort", Sort)
@pytest.mark.parametrize("search", ["", "books"])
def test_shards_are_listed_and_counted_only_on_demand(sort, search):
    leader = Leader()
    leader.put(*(Resource(Spec(f"books~{n}", workers=3, shard=n)) for n in (1, 2)))
    leader.put(Resource(Spec("books", workers=3)))
    for shards, number in [(False, 1), (True, 3)]:
        page = leader.list(Query(sort=sort, search=search, shards=shards))
        assert (len(page.resources), page.total, page.counts["pending"]) == (number,) * 3


def test_a_task_is_counted_where_it_is_now():
    leader = Leader()
    lives = [
        Resource(Spec("a")),
        Resource(Spec("a"), paused=PAUSED),
        Resource(Spec("a"), state=State.RUNNING),
        Resource(Spec("a"), state=State.FAILED, stopped=True),
    ]
    for life, word in zip(lives, ["pending", "paused", "running", "stopped"], strict=True):
        leader.put(life, Resource(Spec("b"), state=State.DONE))
        counts = leader.list(Query()).counts
        assert {state: n for state, n in counts.items() if n} == {word: 1, "done": 1}
    leader.remove("a")
    assert sum(leader.list(Query(state=State.FAILED)).counts.values()) == 1


def test_paused_and_stopped_tasks_are_listed_and_counted_by_these_words():
    leader = Leader()
    leader.put(
        Resource(Spec("a"), paused=PAUSED),
        Resource(Spec("b"), state=State.RUNNING, paused=PAUSED),
        Resource(Spec("c"), state=State.FAILED, stopped=True),
        Resource(Spec("d"), state=State.FAILED),
        Resource(Spec("e"), state=State.FAILED, awaits_spider=True, paused=PAUSED),
    )
    for state, names in {
        ToldState.PAUSED: ["a", "b", "e"],
        ToldState.STOPPED: ["c"],
        State.PENDING: ["a"],
        State.RUNNING: ["b"],
        State.FAILED: ["c", "d", "e"],
    }.items():
        page = leader.list(Query(state=state))
        assert ([each.name for each in page.resources], page.total) == (names, len(names))
        assert {word: n for word, n in page.counts.items() if n} == {
            "paused": 3,
            "stopped": 1,
            "failed": 1,
        }
    page = leader.list(Query(1, state=ToldState.PAUSED))
    assert ([each.name for each in page.resources], page.total) == (["a"], 3)


def test_tasks_are_sorted_by_what_their_runs_have_counted_up_to_now():
    leader = Leader()
    tasks = [
        Resource(Spec(name), id=name, epoch=1, state=State.RUNNING, counts=Counts(7))
        for name in "abc"
    ]
    leader.put(*tasks, Resource(Spec("d"), state=State.DONE, counts=Counts(8)))
    counted = {"a": Counts(30, 1), "b": Counts(200, 1, 5)}
    leader.live.note(
        (Report(each.name, each.name, 1, State.RUNNING, counts=counted[each.name]), each)
        for each in tasks[:2]
    )
    assert leader.names(sort=Sort.PAGES) == ["c", "d", "a", "b"]
    assert leader.names(sort=Sort.PAGES, descending=True) == ["b", "a", "d", "c"]
    assert leader.names(sort=Sort.ITEMS, descending=True) == ["a", "b", "c", "d"]
    assert leader.names(sort=Sort.FAILURES, descending=True) == ["b", "a", "c", "d"]
