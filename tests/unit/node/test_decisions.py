"""The pure decisions of master and worker: requests, placement, reconciliation, names."""

import dataclasses

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.clock import ManualClock, give_turn
from crawler.coordination.stored import MOST_EPOCH
from crawler.errors import AlreadyExists, ConfigError, InvalidArgument, NotFound, WouldRestart
from crawler.model.records import Counts, Node, Owner, Report, Resource, Spec, State
from crawler.node.master.assignment import needs_owner, next_epoch
from crawler.node.master.commands import Add, Again, Record, Remove, Update, parameter_faults
from crawler.node.master.draft import Draft
from crawler.node.master.life import PauseTask, ResumeTask, RunTask, StopTask
from crawler.node.master.workers import WorkerSnapshot
from crawler.node.membership.names import NodeNames
from crawler.node.run.item_files import ItemFiles
from crawler.node.run.naming import RunKey
from crawler.node.worker.reconcile import reconcile
from crawler.settings import live
from crawler.settings.crawl import CrawlSettings
from tests.unit.node.scene import W1, W2, Scene, stored


def test_an_epoch_rises_by_one_and_above_all_there_were_where_it_was_dropped():
    assert next_epoch(stored(epoch=3)) == 4
    assert next_epoch(stored(epoch=0)) == stored().mod_revision + 1


def test_an_epoch_stays_where_it_can_be_read():
    assert next_epoch(stored(epoch=MOST_EPOCH)) == MOST_EPOCH


@pytest.mark.parametrize(("reported", "then"), [(5, 8), (10**12, 10**12 + 1)])
def test_an_old_value_put_back_is_assigned_above_all_there_was(reported, then):
    """Above the report, and above the revision (7) even if the report is not the last there was."""
    scene = Scene(stored())
    draft = scene.draft()
    assert Record("w-1", [report(epoch=reported)]).apply(draft) == ["a"]
    scene.place(draft)
    assert only_change(draft).after.epoch == then


def test_a_report_of_an_epoch_that_cannot_be_is_none():
    draft = draft_of(stored())
    Record("w-1", [report(epoch=MOST_EPOCH + 1)]).apply(draft)
    assert draft.changes() == []


def draft_of(*stored):
    by_name = {resource.name: resource for resource in stored}
    ids = iter(range(1000, 2000))
    return Draft(by_name.get, lambda: next(ids), lambda: 99)


def only_change(draft):
    [change] = draft.changes()
    return change


def test_adding_mints_an_id_and_a_creation_time():
    draft = draft_of()
    Add(Spec("a")).apply(draft)
    change = only_change(draft)
    assert (change.after.id, change.after.creation_time, change.minted) == ("1000", 99, 1000)
    assert change.based_on == 0


def test_adding_the_same_again_changes_nothing():
    draft = draft_of(stored())
    assert Add(Spec("a")).apply(draft) == ["a"]
    assert Add(Spec("a", spider="a")).apply(draft) == ["a"], "the default spider, spelt out"
    change = only_change(draft)
    assert (change.keeps, change.based_on) == (True, 7), "but it is answered for as it stands"


@pytest.mark.parametrize(
    "other",
    [
        Spec("a", spider="b"),
        Spec("a", parameters={"x": 1}),
        Spec("a", labels={"gpu": "1"}),
        Spec("a", priority=1),
    ],
)
def test_adding_another_specification_under_the_name_is_refused(other):
    with pytest.raises(AlreadyExists, match="another specification"):
        Add(other).apply(draft_of(stored()))


def test_two_adds_of_one_name_in_one_draft_are_one():
    draft = draft_of()
    Add(Spec("a")).apply(draft)
    Add(Spec("a")).apply(draft)
    assert len(draft.changes()) == 1
    with pytest.raises(AlreadyExists):
        Add(Spec("a", priority=1)).apply(draft)


def test_another_spider_or_parameters_mean_another_run():
    draft = draft_of(stored(state=State.DONE))
    Update(Spec("a", parameters={"x": 1})).apply(draft)
    changed = only_change(draft).after
    assert (changed.owner, changed.state, changed.id, changed.epoch) == (
        None,
        State.PENDING,
        "1",
        3,
    )


@pytest.mark.parametrize("state", list(State))
def test_who_asks_for_a_task_anew_gets_a_crawl_that_goes_on_with_none(state):
    draft = draft_of(stored(state=state, generation=4, kills=2))
    Again("a").apply(draft)
    changed = only_change(draft).after
    assert (changed.owner, changed.state, changed.kills) == (None, State.PENDING, 0)
    assert (changed.id, changed.epoch, changed.generation) == ("1", 3, 5)
    assert changed.resumes == (state is State.FAILED), "its state may not have been written"


def test_who_asks_again_and_again_for_a_task_that_fails_may_get_the_first_crawl():
    draft = draft_of(stored(state=State.FAILED, generation=5, resumes=1))
    Again("a").apply(draft)
    assert (only_change(draft).after.generation, only_change(draft).after.resumes) == (6, 2)
    draft = draft_of(stored(state=State.DONE, generation=5, resumes=1))
    Again("a").apply(draft)
    assert only_change(draft).after.resumes == 0


def test_another_run_of_what_runs_may_go_on_and_of_what_is_done_may_not():
    for state, generation in ((State.RUNNING, 0), (State.DONE, 1), (State.FAILED, 1)):
        draft = draft_of(stored(state=state))
        Update(Spec("a", parameters={"settings": {"nofollow": True}})).apply(draft)
        changed = only_change(draft).after
        assert (changed.state, changed.generation) == (State.PENDING, generation)


def test_labels_and_priority_leave_the_run_alone():
    draft = draft_of(stored())
    Update(Spec("a", labels={"x": "y"}, priority=3)).apply(draft)
    changed = only_change(draft).after
    assert (changed.owner.node_id, changed.state, changed.epoch) == ("w-1", State.RUNNING, 3)


def test_a_task_that_is_to_be_isolated_goes_on_where_it_runs_and_its_worker_hears_of_it():
    draft = draft_of(stored())
    Update(Spec("a", isolated=True)).apply(draft)
    changed = only_change(draft).after
    assert (changed.spec.isolated, changed.owner, changed.epoch) == (True, stored().owner, 3)
    with pytest.raises(AlreadyExists, match="another specification"):
        Add(Spec("a", isolated=True)).apply(draft_of(stored()))


@pytest.mark.parametrize("request_", [Update(Spec("b")), Again("b"), Remove("b")])
def test_what_is_not_there_cannot_be_changed(request_):
    with pytest.raises(NotFound, match="no such task"):
        request_.apply(draft_of(stored()))


@pytest.mark.parametrize("bounds", [{"team": "a"}, {"team": "b", "zone": "x"}])
def test_whoever_is_bounded_cannot_change_a_task_that_is_anothers_by_now(bounds):
    theirs = Spec("a", labels={"team": "b"})
    draft = draft_of(stored(spec=theirs))
    update = Update(Spec("a", labels=bounds), bounds=bounds)
    life = (
        PauseTask("a", "", bounds=bounds),
        ResumeTask("a", bounds=bounds),
        StopTask("a", "", bounds=bounds),
        RunTask("a", bounds=bounds),
    )
    for command in (update, Again("a", bounds=bounds), Remove("a", bounds=bounds), *life):
        with pytest.raises(NotFound, match="no such task"):
            command.apply(draft)
    assert draft.changes() == []
    Again("a", bounds={"team": "b"}).apply(draft)
    assert only_change(draft).after.spec == theirs


def test_added_and_removed_in_one_draft_leaves_nothing_to_write():
    draft = draft_of()
    Add(Spec("a")).apply(draft)
    Remove("a").apply(draft)
    assert draft.changes() == []


def report(**fields):
    known = {"name": "a", "id": "1", "epoch": 3, "state": State.DONE, "counts": Counts(pages=2)}
    return Report(**{**known, **fields})


def test_a_current_report_is_recorded():
    draft = draft_of(stored())
    assert Record("w-1", [report()]).apply(draft) == ["a"]
    changed = only_change(draft).after
    assert (changed.state, changed.counts.pages) == (State.DONE, 2)


@pytest.mark.parametrize(
    ("node_id", "stale"),
    [
        ("w-1", report(epoch=2)),
        ("w-1", report(id="2")),
        ("w-2", report()),
        ("w-1", report(name="none")),
    ],
)
def test_a_report_of_another_run_changes_nothing(node_id, stale):
    draft = draft_of(stored())
    assert Record(node_id, [stale]).apply(draft) == [stale.name], "what made it stale may fail"
    assert draft.changes() == []


def test_what_is_finished_stays_finished():
    draft = draft_of(stored(state=State.FAILED))
    Record("w-1", [report(state=State.RUNNING), report(state=State.DONE)]).apply(draft)
    assert draft.changes() == []


@pytest.mark.parametrize(
    ("resource", "wanted"),
    [
        (stored(owner=None, state=State.PENDING), True),
        (stored(), False),
        (stored(owner=Node("w-9", "h:9")), True),
        (stored(owner=Node("w-1", "h:1", incarnation=9)), True),
        (stored(owner=Node("w-1", "h:1", incarnation=0)), False),
        (stored(owner=Node("w-9", "h:9"), state=State.DONE), False),
        (stored(owner=Node("w-9", "h:9"), state=State.FAILED), False),
        (stored(state=State.FAILED, awaits_spider=True), True),
    ],
    ids=[
        "unassigned", "its worker lives", "its worker died", "an earlier incarnation",
        "assigned by another program", "done", "failed for good", "a worker has its spider now",
    ],
)  # fmt: skip
def test_who_needs_an_owner(resource, wanted):
    assert needs_owner(resource, WorkerSnapshot({"w-1": W1})) is wanted


def test_what_awaits_a_spider_stays_while_nobody_has_it():
    resource = stored(state=State.FAILED, awaits_spider=True)
    assert not needs_owner(
        resource, WorkerSnapshot({"w-1": Node("w-1", "h", spiders=frozenset({"b"}))})
    )


def test_placing_keeps_identity_and_raises_the_epoch():
    draft, _ = Scene(stored(owner=Node("w-9", "h:9"), counts=Counts(pages=9))).place()
    moved = only_change(draft).after
    assert (moved.id, moved.creation_time, moved.epoch) == ("1", 5, 4)
    assert moved.owner == Owner("w-1", "h:1", 10)
    assert (moved.state, moved.counts) == (State.ASSIGNED, Counts())


def test_a_resource_of_another_program_gets_what_it_lacks():
    draft, _ = Scene(Resource(Spec("a"), mod_revision=3)).place()
    change = only_change(draft)
    assert (change.after.id, change.after.creation_time) == ("1000", 99)
    assert (change.based_on, change.minted) == (3, 1000)


def test_without_a_worker_it_waits_with_a_reason_and_is_written_once():
    scene = Scene(stored(owner=Node("w-9", "h:9")), workers=())
    scene.settle()
    waiting = scene.stored["a"]
    assert (waiting.owner, waiting.state, waiting.epoch) == (None, State.PENDING, 3)
    assert "no worker is registered" in waiting.reason
    scene.settle()
    scene.placer.try_some()
    scene.settle()
    assert scene.stored["a"] is waiting


def test_only_a_life_that_was_there_is_declared_dead():
    """Another program may name one that never was, and would ban all later ones."""
    earlier, made_up = (Node("w-1", "h:1", incarnation=life) for life in (6, 10**9))
    draft, placed = Scene(stored("a", earlier), stored("b", made_up)).place()
    assert placed.dead == {"w-1": 6}
    moved = [change.after.owner.incarnation for change in draft.changes()]
    assert moved == [10, 10], "both move all the same"


owners = st.sampled_from([None, W1, W2, Node("w-3", "h:3"), Node("w-1", "h:1", incarnation=9)])


@given(st.lists(st.tuples(owners, st.sampled_from(State)), max_size=20))
def test_a_pass_moves_nothing_that_a_live_worker_owns(entries):
    resources = [stored(f"t{n}", owner, state=state) for n, (owner, state) in enumerate(entries)]
    draft, _ = Scene(*resources, workers=(W1, W2)).place()
    changed = {change.name for change in draft.changes()}
    for resource in resources:
        alive = resource.owner is not None and any(node.owns(resource.owner) for node in (W1, W2))
        assert (resource.name in changed) is (not alive and not resource.state.finished)


keys = st.builds(RunKey, st.sampled_from(["1", "2"]), st.integers(0, 2))
runs = st.dictionaries(st.sampled_from("abcdef"), keys)


@given(runs, runs)
def test_reconciling_makes_running_equal_to_desired(desired, running):
    actions = reconcile(desired, running)
    after = {name: key for name, key in running.items() if name not in actions.stop}
    assert not set(actions.start) & set(after), "never started beside a run of the same name"
    after |= {name: desired[name] for name in actions.start}
    assert after == desired
    kept = {name for name in desired if desired[name] == running.get(name)}
    assert kept.isdisjoint(actions.stop)
    assert kept.isdisjoint(actions.start)


def test_a_given_name_is_waited_for_and_then_refused():
    clock = ManualClock()
    names = NodeNames("2", several=False, patience_s=10, clock=clock)
    assert names.choose({"2"}) == "2"
    names.refused("2", "taken")
    clock.advance(11)
    with pytest.raises(ConfigError, match=r"node.id: '2'"):
        names.refused("2", "taken")


def test_without_a_name_the_lowest_free_number_is_taken_and_kept():
    names = NodeNames("", several=False, patience_s=10, clock=ManualClock())
    assert names.choose({"1", "3"}) == "2"
    names.keep("2")
    assert names.choose({"1", "2", "3"}) == "2"


def test_several_processes_of_one_name_number_themselves():
    names = NodeNames("a", several=True, patience_s=10, clock=ManualClock())
    assert names.choose(set()) == "a"
    assert names.choose({"a"}) == "a.2"
    assert names.choose({"a", "a.2"}) == "a.3"


@given(
    st.text(
        st.characters(exclude_characters="/", exclude_categories=["Cs", "Cc"]),
        min_size=1,
        max_size=128,
    )
)
def test_items_lie_in_one_folder_below_the_given_one_whatever_the_name(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp()
    for id in ("7", name):
        path = ItemFiles(folder, Resource(Spec(name), id=id, epoch=2), ["jsonl"], None).path
        assert path.parent.parent == folder
        assert path.parent.name not in ("", ".", "..")
        assert len(path.parent.name.encode()) <= 255
        assert path.resolve().parent == path.parent.resolve()
        assert path.name.endswith("-2.jsonl")


def test_an_id_of_another_program_leads_nowhere_else(tmp_path):
    outside = Resource(Spec("x"), id="../../outside", epoch=1)
    path = ItemFiles(tmp_path, outside, ["jsonl"], None).path
    assert path.parent == tmp_path / "x"


def live_settings(**settings):
    return Spec("a", "books", {"depth": 2, "settings": settings})


def test_settings_that_may_change_during_a_run_do_not_restart_it():
    draft = draft_of(stored(spec=live_settings(delay_s=0.5, sinks=["csv"])))
    changed = live_settings(delay_s=0.01, max_pages=9, sinks=["csv"])
    Update(changed, restart=False).apply(draft)
    after = only_change(draft).after
    assert (after.spec, after.owner, after.epoch) == (changed, stored().owner, 3)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (Spec("a", "books", {"depth": 3}), "parameters.depth"),
        (Spec("a", "films", {"depth": 2}), "spider"),
        (live_settings(delay_s=0.1, sinks=["csv"]), "parameters.settings.sinks cannot"),
        (Spec("a", "books", {"depth": 2, "settings.delay_s": 0.1}), "parameters.settings.delay_s"),
    ],
)
def test_a_change_that_restarts_a_run_says_what_of_it_does_and_is_refused_if_nobody_allows_it(
    changed, named
):
    present = stored(spec=Spec("a", "books", {"depth": 2}))
    draft = draft_of(present)
    with pytest.raises(WouldRestart, match=rf"would restart the run of 'a' on w-1.*{named}"):
        Update(changed, restart=False).apply(draft)
    assert not draft.changes()
    for allowed in (True, None):
        draft = draft_of(present)
        Update(changed, restart=allowed).apply(draft)
        assert only_change(draft).after.owner is None


@pytest.mark.parametrize(
    "present",
    [stored(state=State.DONE, spec=Spec("a")), stored(owner=None, state=State.PENDING)],
)
def test_a_task_that_does_not_run_needs_no_leave_to_change(present):
    draft = draft_of(present)
    Update(Spec("a", "other"), restart=False).apply(draft)
    assert only_change(draft).after.spec.spider == "other"


def test_a_task_that_is_done_runs_anew_with_other_settings():
    draft = draft_of(stored(spec=live_settings(delay_s=1), state=State.DONE))
    Update(live_settings(delay_s=2), restart=False).apply(draft)
    assert (only_change(draft).after.owner, only_change(draft).after.state) == (None, State.PENDING)


def test_a_setting_that_would_change_during_a_run_must_be_allowed():
    draft = draft_of(stored(spec=live_settings(delay_s=0.5)))
    wrong = live_settings(delay_s=-1)
    with pytest.raises(InvalidArgument, match=r"parameters\.settings\.delay_s: -1 is not allowed"):
        Update(wrong, faults=parameter_faults(wrong)).apply(draft)


UNUSABLE = [
    ({"settings": {"deny_urls": ["/ok/", "(?<!a)b"]}}, r"settings\.deny_urls: .*no look-around"),
    ({"settings": {"deny_urls": [r"(a)\1"] + ["/long/"] * 50}}, r"deny_urls\[0\]: .*look-around"),
    (
        {"sitemap_rules": [["/a/", "parse"], ["(?=b)", "parse"]]},
        r"sitemap_rules\[1\]\[0\]: '\(\?=b",
    ),
    (
        {"sitemap_follow": ["x", "y++"]},
        r"sitemap_follow\[1\]: 'y\+\+' is not allowed; allowed: a reg",
    ),
    (
        {"settings": {"delay_s": "soon"}},
        r"settings\.delay_s: 'soon' is not allowed; allowed: a num",
    ),
    ({"settings": {"retries": 101}}, r"retries: 101 is not allowed; allowed: .* from 0 to 100"),
    ({"settings": {"user_agent": "me\r\nHost: h"}}, r"user_agent: 'me.*without line breaks"),
    ({"settings": {"http_user": "a:b"}}, r"settings\.http_user: 'a:b' is not allowed"),
    ({"settings": {"dalay_s": 1}}, r"settings\.dalay_s: unknown .*did you mean delay_s\?"),
    ({"settings": ["delay_s"]}, r"parameters\.settings: .* allowed: a mapping"),
    ({"settings": None}, r"parameters\.settings: None is not allowed; allowed: a mapping"),
    ({"start_urls": 5}, r"start_urls: 5 is not allowed; allowed: a list, each an http or https"),
    ({"start_urls": None}, r"start_urls: null is not allowed; allowed: a list"),
    ({"start_urls": {"u": "http://h/"}}, r"start_urls: dict is not allowed; allowed: a list"),
    ({"start_urls": ["http://h/", 7]}, r"start_urls\[1\]: 7 is not allowed; allowed: an http or"),
    ({"start_urls": ["http://h/", "h/a"]}, r"start_urls\[1\]: 'h/a' is not allowed; allowed: an"),
    ({"start_urls": "ftp://h/"}, r"start_urls: 'ftp://h/' is not allowed; allowed: an http or"),
    ({"start_urls": ["http://h:99999/"]}, r"start_urls\[0\]: 'http://h:99999/' is not allowed"),
    ({"start_urls": ["file:///etc/passwd"]}, r"start_urls\[0\]: 'file:.* allowed: an http or"),
    ({"sitemap_urls": ["/sitemap.xml"]}, r"sitemap_urls\[0\]: '/sitemap.xml' is not allowed"),
    ({"sitemap_urls": True}, r"sitemap_urls: True is not allowed; allowed: a list, each an http"),
    ({"allowed_domains": 5}, r"allowed_domains: 5 is not allowed; allowed: a list, each the name"),
    ({"allowed_domains": ["h", None]}, r"allowed_domains\[1\]: null is not allowed; allowed: the"),
    ({"name": "other"}, r"parameters\.name: not allowed, .* allowed: any other name"),
    ({"_rules": []}, r"parameters\._rules: not allowed, .* allowed: any other name"),
]


@pytest.mark.parametrize(("parameters", "told"), UNUSABLE)
def test_a_task_that_no_worker_could_use_is_refused(parameters, told):
    draft = draft_of(stored(spec=Spec("a")))
    faults = parameter_faults(Spec("a", "books", parameters))
    for request in (
        Add(Spec("b", "books", parameters), faults=faults),
        Update(Spec("a", "books", parameters), faults=faults),
    ):
        with pytest.raises(InvalidArgument, match=told):
            request.apply(draft)
    assert not draft.changes()


def test_a_leader_does_other_things_while_it_checks_thousands_of_patterns_and_urls():
    ticks = 0

    def tick():
        nonlocal ticks
        while True:
            ticks += 1
            give_turn()

    others = gevent.spawn(tick)
    patterns = [f"/corner-{number}/" for number in range(300)]
    assert parameter_faults(Spec("a", "books", {"settings": {"deny_urls": patterns}})) == ""
    seen = ticks
    starts = [f"http://h/{number}" for number in range(15_000)]
    assert parameter_faults(Spec("a", "books", {"start_urls": starts})) == ""
    others.kill()
    assert seen > 10
    assert ticks > seen + 10


def test_a_task_that_is_stored_may_be_changed_elsewhere_whatever_its_settings():
    """Another version, or another program, may have stored it."""
    unknown = {"settings": {"of_tomorrow": 1}}
    draft = draft_of(stored(spec=Spec("a", "books", unknown)))
    faults = parameter_faults(Spec("a", "books", unknown))
    assert faults
    Add(Spec("a", "books", unknown), faults=faults).apply(draft)
    Update(Spec("a", "books", unknown, priority=3), faults=faults).apply(draft)
    assert only_change(draft).after.spec.priority == 3


def test_what_only_a_spider_knows_is_left_to_it():
    draft = draft_of()
    parameters = {
        "start_urls": " HTTP:h/ü",  # browsers take it
        "sitemap_urls": [],
        "allowed_domains": ["http://h/"],
        "sitemap_rules": "mine",
        "sitemap_follow": {"a": "(?=b)"},
        "parse": "mine",
    }
    spec = Spec("a", "books", {**parameters, "settings": {"sinks": ["a database"]}})
    Add(spec, faults=parameter_faults(spec)).apply(draft)
    assert only_change(draft).after.spec.parameters.keys() > parameters.keys()


def test_every_setting_that_may_change_during_a_run_is_one():
    assert {field.name for field in dataclasses.fields(CrawlSettings)} >= live.LIVE


def test_an_addition_tells_whether_it_added_the_task():
    draft = draft_of(stored(spec=Spec("a"), state=State.DONE))
    again, first = Add(Spec("a")), Add(Spec("b"))
    again.apply(draft)
    first.apply(draft)
    assert (again.new, first.new) == (False, True)


def test_an_objection_concerns_new_tasks_alone():
    draft = draft_of(stored(spec=Spec("a", "old")))
    Add(Spec("a", "old"), lambda spec: "nobody has it").apply(draft)
    with pytest.raises(InvalidArgument, match="nobody has it"):
        Add(Spec("b", "old"), lambda spec: "nobody has it").apply(draft)
