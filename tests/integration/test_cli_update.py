"""`crawler update`, against a backend."""

from dataclasses import replace

import pytest

from crawler.model.constraints import Constraints
from crawler.model.records import Counts, Owner, Spec, State
from tests.integration.test_cli_cluster import run  # noqa: F401
from tests.unit.api.fakes import CALL, FakeBackend

CPU_AND_GPUS = (("cpu", 1.0), ("gpu", 2.0))

SPEC = Spec(
    "x",
    "books",
    {"depth": 2},
    {"site": "shop"},
    3,
    Constraints(node="2", requests=(("cpu", 1.0),)),
    1,
)


@pytest.fixture
def backend():
    backend = FakeBackend()
    backend.add(SPEC, CALL)
    return backend


@pytest.fixture
def updated(run, backend):  # noqa: F811
    """What these options make of the task."""

    def update(*options):
        status, said, error = run(backend, "update", "x", *options)
        assert (status, error) == (0, "")
        assert said[0].split() == ["name", "x"]
        return backend.resources["x"].spec

    return update


def test_a_text_that_only_contains_a_secret_is_taken_with_a_warning(run, backend):  # noqa: F811
    header = "parameters.settings.headers.Authorization=Bearer secret:shop-token"
    status, _, error = run(backend, "update", "x", "--restart", "--set", header)
    assert status == 0
    assert error == (
        "crawler: warning: parameters.settings.headers.Authorization: secret:shop-token is a part"
        " of a longer text, so it stands for no secret, and is used as it is; put the whole text"
        " into the secret\n"
    )


def test_a_task_begins_anew_and_it_is_told_what_no_longer_counts(run, backend):  # noqa: F811
    found = backend.resources["x"]
    backend.resources["x"] = found.replace(counts=Counts(1204, 1), state=State.RUNNING)
    status, said, error = run(backend, "again", "x")
    assert (status, error) == (0, "")
    told = "it begins anew; 1,204 pages and 1 item of the crawl before no longer count"
    assert said[-1] == told
    assert backend.resources["x"].generation == 1


@pytest.mark.parametrize(
    ("about", "told"),
    [
        (
            {"owner": None, "epoch": 0},
            "it had not begun yet, so nothing is dropped; what it waits for: crawler explain x",
        ),
        ({"epoch": 2}, "it begins anew; of the crawl before, nothing was counted yet"),
        (
            {"epoch": 2, "state": State.RUNNING},
            "it begins anew; what the crawl before has counted is not known here yet",
        ),
    ],
    ids=["never placed", "has begun", "the leader is new"],
)
def test_a_task_without_pages_that_begins_anew_drops_nothing_and_it_is_told(
    run,  # noqa: F811
    backend,
    about,
    told,
):
    found = backend.resources["x"]
    backend.resources["x"] = found.replace(**about)
    assert run(backend, "again", "x")[1][-1] == told


class Sharing(FakeBackend):
    """A backend that begins the run of a task again when it gets more workers. It has no counts of
    the run that begins."""

    def update(self, spec, call, *more):
        before = self.resources[spec.name]
        found = super().update(spec, call, *more)
        if before.spec.workers == spec.workers:
            return found
        self.resources[spec.name] = found.replace(epoch=found.epoch + 1, counts=Counts())
        return self.resources[spec.name]


@pytest.mark.parametrize(
    ("option", "last", "has_counts"),
    [
        (
            "workers=3",
            "its run begins again and goes on where it was; its 1,300 pages count",
            False,
        ),
        ("priority=9", "", True),
    ],
)
def test_a_task_that_gets_more_workers_is_not_shown_without_its_pages(
    run,  # noqa: F811
    option,
    last,
    has_counts,
):
    backend = Sharing()
    backend.add(SPEC, CALL)
    owner = Owner("w-1", "1", "127.0.0.1:9")
    found = backend.resources["x"].replace(state=State.RUNNING, owner=owner)
    backend.resources["x"] = found.replace(counts=Counts(1300, 5))
    _, said, error = run(backend, "update", "x", f"--set={option}")
    assert error == ""
    assert [line for line in said if line.startswith("counts")] == (
        ["counts       1,300 pages, 5 items, 0 failures, 0.0 s"] if has_counts else []
    )
    assert (said[-1] == last) == bool(last)


def test_a_new_leader_does_not_say_that_no_pages_count(run):  # noqa: F811
    backend = Sharing()
    found = backend.add(SPEC, CALL)
    backend.resources["x"] = found.replace(state=State.RUNNING)
    _, said, _ = run(backend, "update", "x", "--set=workers=3")
    assert said[-1] == "its run begins again and goes on where it was"


def test_a_task_is_set_apart_and_back_and_is_shown_so(run, updated, backend):  # noqa: F811
    assert updated("--set=isolated=true").isolated
    assert "isolated     yes" in run(backend, "task", "x")[1]
    assert not updated("--unset=isolated").isolated
    assert not [line for line in run(backend, "task", "x")[1] if line.startswith("isolated")]


@pytest.mark.parametrize("command", ["update", "again", "task", "explain", "stats"])
def test_a_shard_that_is_not_there_is_told_with_its_task(run, backend, command):  # noqa: F811
    told = "no task 'x~7': it would be a shard of 'x', and no such shard is there; name 'x' itself"
    assert run(backend, command, "x~7") == (1, [], f"crawler: {told}; see crawler tasks\n")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failed_task_may_go_on_and_it_is_told(run, backend, workers):  # noqa: F811
    found = backend.resources["x"]
    spec = replace(found.spec, workers=workers)
    backend.resources["x"] = found.replace(spec=spec, counts=Counts(7, 9), state=State.FAILED)
    _, said, _ = run(backend, "again", "x")
    assert said[-1] == (
        "it goes on where it was if its state was kept, or else begins anew; so far: 7 pages and 9"
        " items"
    )


def test_an_update_of_a_task_that_is_done_tells_what_no_longer_counts(run, backend):  # noqa: F811
    found = backend.resources["x"]
    backend.resources["x"] = found.replace(counts=Counts(1, 2_000), state=State.DONE)
    _, said, _ = run(backend, "update", "x", "--set=parameters.settings.nofollow=true")
    assert said[-1] == "it begins anew; 1 page and 2,000 items of the crawl before no longer count"


def test_a_task_that_is_not_there_cannot_begin_anew(run, backend):  # noqa: F811
    status, _, error = run(backend, "again", "y")
    assert status == 1
    assert "no task 'y'" in error


def test_what_is_not_named_stays_as_it_is(updated):
    assert updated("--set", "priority=-5") == Spec(
        "x", "books", {"depth": 2}, {"site": "shop"}, -5, SPEC.constraints, 1
    )


@pytest.mark.parametrize(
    ("option", "field", "value"),
    [
        ("--set=spider=7", "spider", "7"),
        ("--set=retries=4", "retries", 4),
        ("--set=labels.a.b=5", "labels", {"site": "shop", "a.b": "5"}),
        ('--set=labels={"k": "v"}', "labels", {"k": "v"}),
        ("--set=parameters.depth=3", "parameters", {"depth": 3}),
        (
            "--set=parameters.settings.delay_s=0.25",
            "parameters",
            {"depth": 2, "settings": {"delay_s": 0.25}},
        ),
        ("--set=constraints.requests.gpu=2", "constraints", Constraints("2", CPU_AND_GPUS)),
        ("--unset=constraints.requests.cpu", "constraints", Constraints("2")),
        (
            "--set=parameters.start=http://h/?a=b",
            "parameters",
            {"depth": 2, "start": "http://h/?a=b"},
        ),
        ("--set=constraints.node=3", "constraints", Constraints("3", (("cpu", 1.0),))),
        (
            '--set=constraints.requests={"gpu": 1}',
            "constraints",
            Constraints("2", (("gpu", 1.0),)),
        ),
        ("--unset=labels.site", "labels", {}),
        ("--unset=constraints.requests", "constraints", Constraints("2")),
        ("--unset=constraints", "constraints", Constraints()),
        ("--unset=priority", "priority", 0),
        ("--unset=spider", "spider", ""),
    ],
)
def test_fields_and_parts_of_them_are_set_and_unset(updated, option, field, value):
    spec = updated(option)
    assert getattr(spec, field) == value
    others = {"name", "spider", "parameters", "labels", "priority", "constraints", "retries"}
    assert all(getattr(spec, each) == getattr(SPEC, each) for each in others - {field})


@pytest.mark.parametrize(
    ("option", "status", "complaint"),
    [
        ("--set=priority", 2, "--set 'priority' is not allowed; allowed is FIELD=VALUE"),
        ("--set=name=y", 2, "--set 'name' is no field; allowed: spider, priority, retries,"),
        ("--set=priority.a=1", 2, "--set 'priority.a' is no field; allowed: spider"),
        ("--set=parameters.depth.x=1", 2, "parameters.depth is 2; allowed is a map; set the whole"),
        ("--set=parameters.a..b=1", 2, "--set 'parameters.a..b': a part of the path is empty"),
        ("--unset=parameters.settings.delay_s", 2, "it is not set; set are: none"),
        ("--unset=labels.none", 2, "--unset labels.none: it is not set; set are: site"),
        ("--set=priority=high", 1, "priority: 'high' is not allowed; allowed is an integer"),
        ("--set=constraints.nod=3", 1, "constraints: 'nod' is not a field; the fields are node"),
        ("--set=labels=7", 1, "labels: 7 is not allowed; allowed is a map of text"),
    ],
)
def test_what_cannot_be_set_is_told_and_nothing_changed(run, backend, option, status, complaint):  # noqa: F811
    found, said, error = run(backend, "update", "x", option)
    assert (found, said) == (status, [])
    assert complaint in error
    assert backend.resources["x"].spec == SPEC


def test_a_part_of_what_was_just_set_to_something_else_is_told(run, backend):  # noqa: F811
    status, _, error = run(backend, "update", "x", "--set=labels=7", "--set=labels.a=b")
    assert (status, "Traceback" in error) == (2, False)
    assert "--set 'labels.a': labels is 7; allowed is a map" in error


def test_a_task_that_is_not_there_is_told(run, backend):  # noqa: F811
    assert run(backend, "update", "y")[::2] == (1, "crawler: no task 'y'; see crawler tasks\n")


@pytest.mark.parametrize("options", [(), ("--restart",), ("--wait-for-spider",)])
def test_an_update_of_nothing_is_told_unless_workers_died_of_the_task(run, backend, options):  # noqa: F811
    status, _, error = run(backend, "update", "x", *options)
    told = "nothing to change of x is given; give --set, --label or --unset"
    assert (status, told in error) == (2, True)
    backend.resources["x"] = backend.resources["x"].replace(kills=3)
    assert run(backend, "update", "x", *options)[::2] == (0, "")


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--set=parameters.settings.delay_s=2", "its crawl goes on with the new settings"),
        ("--set=parameters.depth=3", "it begins another run"),
        ("--set=priority=7", None),
    ],
)
def test_what_a_change_means_for_the_run_is_told(run, backend, option, told):  # noqa: F811
    _, said, _ = run(backend, "update", "x", option)
    assert (said[-1] == told) is (told is not None)


def test_a_restart_is_allowed_only_if_asked_for(run, backend):  # noqa: F811
    run(backend, "update", "x", "--set=parameters.depth=3")
    run(backend, "update", "x", "--set=parameters.depth=3", "--restart")
    assert backend.restarts == [False, True]


def test_a_spider_may_be_waited_for_if_asked_for(run, backend):  # noqa: F811
    run(backend, "update", "x", "--set=spider=later")
    run(backend, "update", "x", "--set=spider=later", "--wait-for-spider")
    assert backend.waits[-2:] == [False, True]


@pytest.mark.parametrize(
    ("before", "path", "after"),
    [
        ({"u.v": 1}, "u.v", {"u.v": 5}),
        ({"u": {"v.w": 1}}, "u.v.w", {"u": {"v.w": 5}}),
        ({"u": {"v": 1}}, "u.v", {"u": {"v": 5}}),
        ({}, "u.v.w", {"u": {"v": {"w": 5}}}),
        ({"u.v": 1}, "u.w", {"u.v": 1, "u": {"w": 5}}),
    ],
)
def test_a_parameter_whose_name_has_dots_is_set_where_it_is(run, backend, before, path, after):  # noqa: F811
    backend.update(Spec("x", "books", before), CALL)
    run(backend, "update", "x", f"--set=parameters.{path}=5")
    assert backend.resources["x"].spec.parameters == after


def test_a_parameter_whose_name_has_dots_can_be_taken_away(run, backend):  # noqa: F811
    backend.update(Spec("x", "books", {"settings.delay_s": 1, "settings": {"delay_s": 2}}), CALL)
    run(backend, "update", "x", "--unset=parameters.settings.delay_s")
    assert backend.resources["x"].spec.parameters == {"settings": {"delay_s": 2}}


def test_a_label_is_added_or_replaced_and_the_others_stay(updated):
    assert updated("--label", "team=a").labels == {"site": "shop", "team": "a"}
    assert updated("--label", "site=b", "--label", "x.y=1=2").labels == {
        "site": "b",
        "team": "a",
        "x.y": "1=2",
    }
