"""`crawler add`, against a backend."""

import json

import pytest

from crawler.errors import AlreadyExists, InvalidArgument, Unavailable
from crawler.model.constraints import Constraints
from crawler.model.projects import Project, Version
from crawler.model.records import Spec, State
from tests.integration.test_cli_cluster import run  # noqa: F401
from tests.unit.api.fakes import CALL, WORKER, FakeBackend

OPTIONS = (
    *("x", "--spider", "books", "-a", "start_urls=http://h/", "-a", "depth=2"),
    *("-s", "delay_s=0.5", "-s", "DOWNLOAD_TIMEOUT=9", "--label", "team=a", "--label", "site=b"),
    *("--priority", "-3", "--workers", "2", "--retries", "1", "--isolated"),
    *("--constraints", '{"node": "2", "requests": {"cpu": 1}}'),
)


@pytest.fixture
def backend():
    return FakeBackend()


def test_a_task_is_added_as_the_options_say_and_its_worker_is_told(run, backend):  # noqa: F811
    told = f"x is added; it is assigned on {WORKER.id} ({WORKER.address})"
    assert run(backend, "add", *OPTIONS) == (0, [told], "")
    parameters = {
        "start_urls": "http://h/",
        "depth": "2",
        "settings": {"delay_s": 0.5, "timeout_s": 9},
    }
    labels, asked = {"team": "a", "site": "b"}, Constraints(node="2", requests=(("cpu", 1.0),))
    wanted = Spec("x", "books", parameters, labels, -3, asked, 1, 2, isolated=True)
    assert backend.resources["x"].spec == wanted
    assert backend.waits == [False]


def test_a_bundle_is_named_as_the_list_of_versions_shows_it(run, backend):  # noqa: F811
    digest = "ab" * 32
    backend.kept_projects["shop"] = Project("shop", digest, (Version(digest),))
    shop = ("--project", "shop", "--spider", "books")
    assert run(backend, "add", "x", *shop, "--bundle", digest[:12])[0] == 0
    assert backend.resources["x"].spec.bundle == digest
    status, _, error = run(backend, "add", "y", *shop, "--bundle", "c" * 12)
    assert (status, "no version 'cccccccccccc' is kept of project shop" in error) == (2, True)


def test_a_name_alone_names_the_spider_too_so_that_a_leader_can_refuse_it(run, backend):  # noqa: F811
    assert run(backend, "add", "x")[0] == 0
    assert backend.resources["x"].spec == Spec("x", "x")


def test_a_name_without_a_spider_of_that_name_is_refused_with_what_to_do(
    run,  # noqa: F811
    backend,
    monkeypatch,
):
    def submit(*more):
        raise InvalidArgument("spider: 'x' is offered by no live worker; offered: books")

    monkeypatch.setattr(backend, "submit", submit)
    hint = "A task has the spider of its own name; for another one, give --spider"
    status, said, error = run(backend, "add", "x")
    assert (status, said) == (1, [])
    assert error == f"crawler: spider: 'x' is offered by no live worker; offered: books. {hint}\n"
    assert hint not in run(backend, "add", "x", "--spider", "y")[2]


def test_a_text_that_only_contains_a_secret_is_added_with_a_warning(run, backend):  # noqa: F811
    headers = {"Authorization": "Bearer secret:shop-token", "Cookie": "secret:cookie", "X": "top"}
    status, said, error = run(backend, "add", "x", "-s", f"headers={json.dumps(headers)}")
    assert (status, len(said)) == (0, 1)
    assert error == (
        "crawler: warning: parameters.settings.headers.Authorization: secret:shop-token is a part"
        " of a longer text, so it stands for no secret, and is used as it is; put the whole text"
        " into the secret\n"
    )


def test_a_task_without_a_worker_says_why_it_waits(run):  # noqa: F811
    backend = FakeBackend(worker=None)
    told = "x is added; it waits: no worker is up; more: crawler explain x"
    assert run(backend, "add", "x", "--wait-for-spider") == (0, [told], "")
    assert backend.waits == [True]


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (State.RUNNING, f"it is running on {WORKER.id} ({WORKER.address})"),
        (State.DONE, "it is done; to run it once more: crawler again x"),
    ],
)
def test_the_same_task_again_changes_nothing_and_it_is_told(
    run,  # noqa: F811
    backend,
    state,
    told,
):
    run(backend, "add", *OPTIONS)
    backend.resources["x"] = before = backend.resources["x"].replace(state=state)
    told = f"x is there already, the same; {told}"
    assert run(backend, "add", *OPTIONS) == (0, [told], "")
    assert backend.resources["x"] == before


def test_another_specification_is_refused_with_what_differs(run, backend):  # noqa: F811
    run(backend, "add", *OPTIONS)
    more = ("--priority", "5", "--label", "team=b", "-a", "depth=3", "-s", "max_pages=7")
    assert run(backend, "add", *OPTIONS, *more) == (
        1,
        [],
        "crawler: task 'x' exists with another specification: "
        'labels.team is "a", and you gave "b"; '
        'parameters.depth is "2", and you gave "3"; '
        "parameters.settings.max_pages is nothing, and you gave 7; "
        "priority is -3, and you gave 5; "
        "change it with crawler update x, or choose another name\n",
    )


def test_a_refusal_for_another_reason_is_quoted(run, backend, monkeypatch):  # noqa: F811
    def submit(*more):
        raise AlreadyExists("workers: 2 needs the name 'x~1', which another task has")

    monkeypatch.setattr(backend, "submit", submit)
    told = "crawler: workers: 2 needs the name 'x~1', which another task has\n"
    assert run(backend, "add", "x", "--workers=2") == (1, [], told)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["x", "--workers", "99"], "workers: "),
        (["x", "--priority", "high"], "priority: "),
        (["x", "--constraints", "{]"], "--constraints: is neither JSON nor YAML: "),
        (["x", "--constraints", "nowhere.json"], "--constraints nowhere.json: No such file"),
        (["x", "--constraints", '{"nodes": "2"}'], "constraints: 'nodes' is not a field"),
        (["x", "-s", "delay=1"], "-s delay"),
        (["x", "-a", "settings=1"], "-a settings: not allowed"),
        (["x", "--label", "team"], "allowed is KEY=VALUE"),
        ([], "no task is given; give NAME, or a file with -f"),
    ],
)
def test_what_cannot_be_a_task_is_refused_before_anything_is_sent(
    run,  # noqa: F811
    backend,
    options,
    told,
):
    status, said, error = run(backend, "add", *options)
    assert (status, said) == (2, [])
    assert told in error
    assert not backend.calls


TASKS = [
    {"name": "a", "spider": "books", "parameters": {"depth": 2}, "labels": {"n": "1"}},
    {"name": "b", "wait_for_spider": True},
]
YAML = """
- name: a
  spider: books
  parameters: {depth: 2}
  labels: {n: "1"}
- {name: b, wait_for_spider: true}
"""


@pytest.mark.parametrize("text", [json.dumps(TASKS), YAML], ids=["json", "yaml"])
def test_the_tasks_of_a_file_are_added(run, backend, tmp_path, text):  # noqa: F811
    file = tmp_path / "tasks"
    file.write_text(text)
    status, said, error = run(backend, "add", "-f", str(file))
    assert (status, [line.split()[0] for line in said], error) == (0, ["a", "b"], "")
    assert backend.resources["a"].spec == Spec("a", "books", {"depth": 2}, {"n": "1"})
    assert backend.waits == [False, True]


def test_one_task_of_a_file_may_be_no_list(run, backend, tmp_path):  # noqa: F811
    file = tmp_path / "task.json"
    file.write_text('{"name": "a"}')
    assert run(backend, "add", "-f", str(file), "--wait-for-spider")[0] == 0
    assert backend.waits == [True]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[{"name": "a"}, {"name": "b", "worker": 2}]', "[1]: 'worker' is not a field"),
        ('[{"name": "a"}, "b"]', "[1]: is no task; allowed is a map of fields, such as name"),
        ("7", ": is no task"),
        ("{]", ": is neither JSON nor YAML: "),
    ],
)
def test_a_fault_in_a_file_is_told_with_its_place_and_nothing_is_added(
    run,  # noqa: F811
    backend,
    tmp_path,
    text,
    told,
):
    file = tmp_path / "tasks.json"
    file.write_text(text)
    status, said, error = run(backend, "add", "-f", str(file))
    assert (status, said) == (2, [])
    assert error.startswith(f"crawler: -f {file}")
    assert told in error
    assert not backend.calls


def test_a_file_and_options_of_a_task_are_not_given_together(run, backend, tmp_path):  # noqa: F811
    file = tmp_path / "tasks.json"
    file.write_text('{"name": "a"}')
    for more in (["x"], ["--priority", "1"], ["--isolated"]):
        status, _, error = run(backend, "add", "-f", str(file), *more)
        assert status == 2
        assert "leave NAME and their options out" in error
    assert not backend.calls


def test_one_of_many_that_is_refused_keeps_no_other_away(run, backend, tmp_path):  # noqa: F811
    backend.add(Spec("a"), CALL)
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps(TASKS))
    status, said, error = run(backend, "add", "-f", str(file))
    assert (status, [line.split()[0] for line in said]) == (1, ["b"])
    assert error.startswith("crawler: a: task 'a' exists with another specification: ")


def test_as_json_each_task_is_an_object_that_says_whether_it_is_new(run, backend):  # noqa: F811
    for new in (True, False):
        status, [line], _ = run(backend, "add", "x", "--spider", "books", "--json")
        told = json.loads(line)
        assert (status, told["name"], told["new"]) == (0, "x", new)
        assert told["assignedNode"].startswith(WORKER.id)


def test_a_master_that_cannot_answer_is_told(run, backend):  # noqa: F811
    def fail():
        raise Unavailable("nobody leads")

    backend.before = fail
    status, said, error = run(backend, "add", "x")
    assert (status, said) == (1, [])
    assert "nobody leads" in error
