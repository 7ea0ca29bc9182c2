"""The forms to add and to change a task: what is refused is told, and what was typed stays."""

import json
from dataclasses import replace

import pytest

from crawler.dashboard.task_arguments import gathered, spread
from crawler.dashboard.task_typed import asked, faults_of, labels_in, typed_of
from crawler.errors import InvalidArgument, WouldRestart
from crawler.model.access import Role
from crawler.model.constraints import Constraints, Expression, Operator
from crawler.model.projects import Project, Version
from crawler.model.records import Spec
from crawler.model.spiders import OfferedSpider, SpiderAbout, SpiderArgument
from crawler.schemas import task_schemas
from crawler.settings.sections import ApiSettings
from tests.unit.api.fakes import Master
from tests.unit.dashboard.workers import FakeWorker

TYPED = {
    "name": "shop",
    "spider": "books",
    "parameters": '{"depth": 2}',
    "labels": "team=a\nkind = daily",
    "priority": "3",
    "retries": "",
    "workers": "1",
    "constraints": "",
    "bundle": "",
}


@pytest.fixture
def worker():
    return FakeWorker()


@pytest.fixture
def master(backend, tokens, clock, worker):
    master = Master(
        backend, ApiSettings(rate=0), tokens=tokens, clock=clock, has_pages=True, reach=worker
    )
    yield master
    master.pages.stop()


@pytest.fixture
def operator(signed_in):
    browser = signed_in(Role.OPERATOR)
    browser.see("/tasks/new?by=hand")
    return browser


def standing_in(browser):
    """What stands in each field."""
    return {
        each.get("name"): each.get("value") or (each.text or "").strip("\n")
        for each in browser.page.cssselect("main form input[id], main form textarea")
    }


def test_a_task_is_added_and_its_page_says_what_became_of_it(operator, backend):
    operator.send("/tasks/new", **TYPED)
    assert operator.where == "/dashboard/tasks/shop"
    assert operator.told == ["shop is added; go.micro.server.worker-2 has it."]
    spec = backend.resources["shop"].spec
    assert spec == Spec("shop", "books", {"depth": 2}, {"team": "a", "kind": "daily"}, 3)
    assert backend.waits == [False]


def test_a_task_that_waits_says_why(operator, backend):
    backend.worker = None
    operator.send("/tasks/new", **TYPED, wait_for_spider="on")
    assert operator.told == ["shop is added; it waits: no worker is up."]
    assert backend.waits == [True]


@pytest.mark.parametrize(
    ("field", "text", "why"),
    [
        ("name", "", "is missing"),
        ("name", "a/b", "'a/b' is not allowed; allowed are 1 to 128 characters"),
        ("parameters", "{depth: 2}", "is no JSON: Expecting property name"),
        ("parameters", "[1]", "allowed is a JSON object"),
        ("labels", "team", "'team' is not allowed; allowed is KEY=VALUE"),
        ("priority", "high", "'high' is not allowed; allowed is an integer"),
        ("workers", "99", "'99' is not allowed; allowed is an integer from 1 to 64"),
        ("constraints", '{"gpu": 1}', "'gpu' is not a field"),
        ("bundle", "x", "'x' is not allowed"),
    ],
)
def test_what_is_wrong_stands_beside_it_and_nothing_typed_is_lost(
    operator, backend, field, text, why
):
    typed = {**TYPED, field: text}
    operator.send("/tasks/new", **typed)
    assert operator.status == 400
    [fault] = operator.page.cssselect(".fault")
    assert fault.get("id") == f"w-{field}"
    assert why in fault.text_content()
    [marked] = operator.page.cssselect("[aria-invalid]")
    assert marked.get("name") == field
    assert f"w-{field}" in marked.get("aria-describedby")
    assert {**typed, **standing_in(operator)}.items() >= typed.items()
    assert not backend.resources


def test_several_faults_stand_each_beside_its_own(operator):
    operator.send("/tasks/new", **{**TYPED, "priority": "x", "retries": "-1", "name": "a/b"})
    assert [each.get("id") for each in operator.page.cssselect(".fault")] == [
        *("w-name", "w-priority", "w-retries")
    ]


def test_a_name_that_is_taken_is_told_beside_it(operator):
    operator.send("/tasks/new", **TYPED)
    operator.send("/tasks/new", **{**TYPED, "priority": "4"})
    assert operator.status == 409
    [fault] = operator.page.cssselect(".fault")
    assert (fault.get("id"), "exists with another" in fault.text_content()) == ("w-name", True)


ARGUMENTS = (
    SpiderArgument("start_urls", "array", required=True),
    SpiderArgument("depth", "integer", 3),
    SpiderArgument("wide", "boolean", False),
    SpiderArgument("colour", "string"),
    SpiderArgument("any"),
)


@pytest.fixture
def paint(worker):
    worker.offers = [OfferedSpider("paint", about=SpiderAbout("Paints shops.", ARGUMENTS))]


def test_one_chooses_a_spider_of_the_workers_or_of_a_project_first(paint, operator, backend):
    version = Version("d" * 64, spiders=("tea",))
    backend.kept_projects["shop"] = Project("shop", version.digest, (version,))
    text = operator.see("/tasks/new")
    assert "paint Paints shops. 1 worker, takes start_urls, depth, wide, colour, any" in text
    assert "tea no live worker offers it now" in text
    ways = [each.get("href") for each in operator.page.cssselect(".spiders a")]
    assert ways == ["/dashboard/tasks/new?spider=paint", "/dashboard/tasks/new?spider=shop%2Ftea"]
    operator.open(ways[1])
    assert standing_in(operator)["spider"] == "shop/tea"


def test_the_parameters_of_a_spider_are_fields(paint, operator, backend):
    text = operator.see("/tasks/new?spider=paint")
    assert "Paints shops. 1 worker offers it." in text
    assert "depth The default is 3." in text
    fields = [each.get("name") for each in operator.page.cssselect("main [name^='p-']")]
    assert fields == [f"p-{each.name}" for each in ARGUMENTS]
    typed = {**TYPED, "spider": "paint", "parameters": '{"settings": {"delay_s": 1}}'}
    given = {
        "p-start_urls": "http://a\r\n http://b",
        "p-depth": "7",
        "p-wide": "true",
        "p-any": "x",
    }
    operator.send("/tasks/new", **typed, **given)
    assert backend.resources["shop"].spec.parameters == {
        "settings": {"delay_s": 1},
        **{"start_urls": ["http://a", "http://b"], "depth": 7, "wide": True, "any": "x"},
    }
    operator.see("/tasks/shop/change")
    found = standing_in(operator)
    assert (found["p-depth"], found["p-start_urls"]) == ("7", "http://a\nhttp://b")
    assert json.loads(found["parameters"]) == {"settings": {"delay_s": 1}}


def test_what_is_wrong_with_a_parameter_stands_beside_it(paint, operator, backend):
    typed = {**TYPED, "spider": "paint"}
    operator.send("/tasks/new", **typed, **{"p-depth": "deep", "p-wide": "1"})
    told = {each.get("id"): each.text_content() for each in operator.page.cssselect(".fault")}
    assert told == {
        "w-p-start_urls": "is missing: this spider needs it",
        "w-p-depth": "'deep' is not allowed; allowed is a whole number",
        "w-p-wide": "'1' is not allowed; allowed is true or false",
    }
    assert standing_in(operator)["p-depth"] == "deep"
    assert not backend.resources


def test_without_workers_the_form_can_be_filled_all_the_same(worker, operator):
    worker.is_silent = True
    operator.see("/tasks/new?by=hand")
    assert "spider" in standing_in(operator)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "5",
        "true",
        '"q"',
        5,
        5.5,
        True,
        None,
        [],
        ["a"],
        ["[a", "b"],
        ["a", 1],
        ["a\nb", ""],
        {"a": [1]},
        "é\n",
    ],
)
@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda each: each.type or "any")
def test_what_a_field_shows_of_a_parameter_is_the_parameter(argument, value):
    typed, rest = spread([argument], {argument.name: value, "other": 1})
    faults = {}
    assert gathered([replace(argument, required=False)], typed, rest, faults) == {
        argument.name: value,
        "other": 1,
    }
    assert not faults


def test_a_task_like_another_has_all_but_its_name(operator, backend):
    operator.send("/tasks/new", **TYPED)
    operator.see("/tasks/new?like=shop")
    found = standing_in(operator)
    assert (found["name"], found["spider"], found["priority"]) == ("", "books", "3")
    assert json.loads(found["parameters"]) == {"depth": 2}


def test_a_change_ends_a_run_only_if_that_was_ticked(operator, backend):
    operator.send("/tasks/new", **TYPED)
    update = backend.update

    def refusing(spec, call, restart=None, wait_for_spider=False):
        if restart is False:
            raise WouldRestart("this would restart the run of shop")
        return update(spec, call, restart, wait_for_spider)

    backend.update = refusing
    operator.see("/tasks/shop/change")
    typed = {**TYPED, "parameters": '{"depth": 5}'}
    operator.send("/tasks/shop/change", **typed)
    assert operator.status == 409
    assert "this would restart the run of shop" in operator.text
    assert standing_in(operator)["parameters"] == '{"depth": 5}'
    operator.send("/tasks/shop/change", **typed, restart="on")
    assert operator.told == ["shop is changed; it is assigned now."]
    assert backend.resources["shop"].spec.parameters == {"depth": 5}


def test_a_viewer_gets_no_form_and_adds_nothing(signed_in, backend):
    viewer = signed_in(Role.VIEWER)
    for path in ("/tasks/new", "/tasks/shop/change"):
        viewer.see(path)
        assert viewer.status == 403
        viewer.send(path, **TYPED)
        assert viewer.status == 403
    assert not backend.resources


FULL = Spec(
    *("shop", "tea", {"a": [1, {"b": None}]}, {"k": "v=w"}, -2),
    constraints=Constraints(required=(Expression("gpu", Operator.IN, ("yes",)),)),
    retries=4,
    workers=3,
    isolated=True,
    project="shop",
    bundle="d" * 64,
)


@pytest.mark.parametrize("spec", [FULL, replace(FULL, project="", bundle=""), Spec("x", "x")])
def test_what_the_form_shows_of_a_task_is_the_task(spec):
    assert task_schemas.load_spec(asked(typed_of(spec))) == spec


def test_labels_may_have_commas_between_them():
    assert labels_in(" a=1, b = 2\n\nc=x=y") == {"a": "1", "b": "2", "c": "x=y"}


def test_what_is_of_no_field_is_told_above_the_form():
    error = InvalidArgument("it is too late; priority: 'x'; y is not allowed; workers: no")
    told = {"": "it is too late", "priority": "'x'; y is not allowed", "workers": "no"}
    assert faults_of(error) == told
