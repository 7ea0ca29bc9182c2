"""Which alerts begin and end: each is told once, and its end once, whichever leader looks."""

from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.alerts import changes as module
from crawler.alerts.changes import AT_END, Finding, Key, Look, Patience, changes, forgotten
from crawler.model.alerts import Alert, AlertRule, When

RULES = {when: AlertRule(when.value, when) for when in When}
FAILED, WAITING = RULES[When.FAILED], RULES[When.WAITING]


def stepped(known, look, now_ns, lasting=None):
    """What is stored after a look."""
    found = look.findings if lasting is None else lasting
    changed, _, _ = changes(known.values(), look, found, now_ns, lambda _: ("ops",))
    return {**known, **{each.key: each for each in changed}}, changed


def seen(*findings, **over):
    return Look(list(findings), {Key("failed", name): how for name, how in over.items()})


def failed(mark="1"):
    return Finding(FAILED, "t", "it failed", mark)


def test_a_failed_run_is_told_once_and_its_recovery_once():
    known, changed = stepped({}, seen(failed()), 1)
    assert [(each.fires, each.owed) for each in changed] == [(True, ("ops",))]
    known, changed = stepped(known, seen(failed()), 2)
    assert changed == []
    known, changed = stepped(known, seen(), 3)
    assert changed == [], "nothing is known of a run that goes on"
    known, changed = stepped(known, seen(t="the next run ended well"), 4)
    assert [(each.recovered_ns, each.recovery) for each in changed] == [
        (4, "the next run ended well")
    ]
    assert stepped(known, seen(t="the next run ended well"), 5)[1] == []
    assert stepped(known, seen(failed()), 6)[1] == [], "that run is known"


def test_each_run_that_fails_is_told():
    known, [first] = stepped({}, seen(failed("1")), 1)
    _, [second] = stepped(known, seen(failed("2")), 2)
    assert first.id != second.id
    assert first.key == second.key


def test_an_earlier_run_is_not_told_after_a_later_one():
    known, _ = stepped({}, seen(failed("7/2/2")), 1)
    assert stepped(known, seen(failed("7/1/1")), 2)[1] == []
    assert stepped(known, seen(failed("8/1/1")), 2)[1] != [], "it is another task"


def test_what_lasts_ends_when_it_is_found_no_more_and_may_come_again():
    waits = Finding(WAITING, "t", "it waits")
    known, [first] = stepped({}, seen(waits), 1)
    known, changed = stepped(known, seen(waits), 2)
    assert changed == []
    known, [over] = stepped(known, seen(), 3)
    assert (over.id, over.recovery) == (first.id, "it is over")
    _, [again] = stepped(known, seen(waits), 4)
    assert again.id != first.id


def test_what_has_not_lasted_long_enough_again_ends_no_alert():
    """A new leader does not know for how long it has lasted already."""
    waits = Finding(WAITING, "t", "it waits")
    known, _ = stepped({}, seen(waits), 1)
    assert stepped(known, seen(waits), 2, lasting=[])[1] == []


def test_it_must_last():
    patience = Patience()
    waits, run = Finding(WAITING, "t", "it waits"), failed()
    assert patience.lasting([waits, run], 0.0) == [run]
    assert patience.lasting([waits], 299.9) == []
    assert patience.lasting([waits], 300.0) == [waits]
    assert patience.lasting([], 301.0) == []
    assert patience.lasting([waits], 302.0) == [], "it begins anew"


def test_beyond_the_limit_alerts_are_counted(monkeypatch):
    monkeypatch.setattr(module, "MOST_FIRING", 2)
    found = [Finding(FAILED, f"t{number}", "it failed", "1") for number in range(5)]
    changed, gone, dropped = changes([], seen(*found), found, 1, lambda _: ())
    assert (len(changed), gone, dropped) == (2, [], 3)


def test_when_all_places_are_taken_those_that_were_told_make_way(monkeypatch):
    """Tasks that fail once and never run again take no place for ever."""
    monkeypatch.setattr(module, "MOST_FIRING", 3)
    told = [Alert("failed", When.FAILED, f"t{at}", "1", "it failed", at) for at in (3, 1, 2)]
    [owed, waits] = [
        Alert("failed", When.FAILED, "t0", "1", "it failed", 0, owed=("ops",)),
        Alert("waiting", When.WAITING, "w", "since 0", "it waits", 0),
    ]
    found = [failed("2")._replace(subject=name) for name in ("new", "t3")]
    changed, gone, dropped = changes(told, seen(*found), found, 9, lambda _: ("ops",))
    assert [each.subject for each in changed] == ["new", "t3"], "another failure of t3 is told"
    assert ([each.subject for each in gone], dropped) == (["t1"], 0)
    known, lasts = [owed, waits, told[0]], Finding(WAITING, "w", "it waits")
    found = [failed("2")._replace(subject=name) for name in ("a", "b")]
    changed, gone, dropped = changes(known, seen(*found, lasts), found, 9, lambda _: ("ops",))
    assert [each.subject for each in changed] == ["a"]
    assert ([each.subject for each in gone], dropped) == (["t3"], 1)


def test_what_concerns_the_cluster_is_told_however_many_tasks_fail(monkeypatch):
    monkeypatch.setattr(module, "MOST_FIRING", 2)
    known = [Alert("failed", When.FAILED, f"t{at}", "1", "x", 1, owed=("ops",)) for at in (1, 2)]
    found = [failed("2"), Finding(RULES[When.NO_WORKER], "cluster", "there is no worker")]
    changed, gone, dropped = changes(known, seen(*found), found, 9, lambda _: ("ops",))
    assert ([each.subject for each in changed], gone, dropped) == (["cluster"], [], 1)


def test_what_is_over_is_forgotten_after_a_day():
    def over(number, **more):
        at_ns = number * module.KEPT_NS
        return Alert("r", When.FAILED, f"t{number}", "1", "x", 1, recovered_ns=at_ns, **more)

    fires = Alert("r", When.FAILED, "t", "1", "x", 1)
    old, owed, new = over(1), over(1, owed=("ops",)), over(2)
    assert forgotten([fires, old, owed, new], 2 * module.KEPT_NS + 1) == [old, owed]


CASES = [
    Finding(rule, subject, text, mark)
    for rule in RULES.values()
    for subject in "ab"
    for text in ("", "wrong")
    for mark in "12"
]
findings = st.lists(st.sampled_from(CASES), max_size=6, unique_by=lambda each: each.key)


@settings(max_examples=100)
@given(st.lists(findings, max_size=12))
def test_between_two_alerts_of_a_kind_something_is_new(looks):
    """Whatever is found: nothing fires twice for one run, and each end follows a beginning."""
    known, told, runs = {}, [], {}
    for now_ns, found in enumerate(looks, 1):
        look = Look()
        for each in found:
            runs[each.key] = max(each.mark, runs.get(each.key, ""))  # no run comes back
            marked = each._replace(mark=runs[each.key] if each.rule.when in AT_END else "")
            look.judge(marked, "well" if each.rule.when in AT_END else "")
        known, changed = stepped(known, look, now_ns)
        told += [(each.id, each.fires) for each in changed]
        firing = {(a.rule, a.subject) for a in known.values() if a.fires}
        wrong = {tuple(each.key) for each in look.findings}
        lasting = {key for key in firing if When(key[0]) not in AT_END}
        assert lasting == {key for key in wrong if When(key[0]) not in AT_END}
    assert len(told) == len(set(told)), "the same thing was told twice"
    for number, (id, fires) in enumerate(told):
        assert fires or (id, True) in told[:number]
