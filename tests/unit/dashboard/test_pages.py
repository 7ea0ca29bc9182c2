"""What the pages show, and what their forms do."""

import pytest

from crawler.api.backend import NodeLoad
from crawler.errors import Unavailable
from crawler.model.access import Role
from crawler.model.records import Counts, Owner, Resource, Spec, State
from tests.unit.api.fakes import WORKER

WORKER_ID = "go.micro.server.worker-2"


def task(name, state=State.RUNNING, **fields):
    owner = Owner(WORKER_ID, "192.168.0.107:9089") if state is not State.PENDING else None
    return Resource(Spec(name, "books"), id="1", state=state, owner=owner, **fields)


@pytest.fixture
def full(backend):
    backend.resources |= {
        "fast": task("fast", counts=Counts(12345, 678, 9)),
        "lost": task("lost", State.PENDING, reason="no worker offers 'books'"),
        "<b>bold</b>": task("<b>bold</b>", State.DONE),
    }
    return backend


def test_the_first_page_says_what_waits_and_why(signed_in, full):
    text = signed_in().see()
    assert "no worker offers 'books' lost" in text
    assert "worker-2" in text


def test_what_a_task_is_called_is_never_markup(signed_in, full):
    browser = signed_in()
    browser.see("/tasks")
    assert b"<b>bold" not in browser.answer.data
    assert "<b>bold</b>" in browser.text


def test_the_tasks_are_shown_with_what_they_did(signed_in, full):
    text = signed_in().see("/tasks")
    assert "fast books running worker-2 1 12,345 678 9" in text


def test_a_filter_is_asked_of_the_leader_and_stays_in_the_form(signed_in, full):
    browser = signed_in()
    text = browser.see("/tasks?state=pending")
    assert "lost" in text
    assert "fast" not in text
    assert "label: 'x' is not allowed" in browser.see("/tasks?label=x")
    assert browser.status == 400
    assert "state: " in browser.see("/tasks?state=nowhere")


def test_the_first_task_shows_itself_on_an_open_page(signed_in, backend):
    browser = signed_in(Role.OPERATOR)
    assert "No task yet" in browser.see("/tasks")
    assert not browser.page.cssselect("#tasks *, .scrolls[hidden]")
    backend.resources["first"] = task("first")
    _, found = browser.watch("/tasks/live")
    assert "task-first" in found
    assert 'id=\\"empty\\" class=\\"empty\\" hidden' in found


def test_many_are_acted_on_at_once_and_each_refusal_is_told(signed_in, full):
    browser = signed_in(Role.OPERATOR)
    browser.see("/tasks")
    browser.send("/tasks", task=["fast", "lost", "gone"], act="delete")
    assert browser.told == ["refused: gone: no such task", "2 tasks deleted."]
    assert list(full.resources) == ["<b>bold</b>"]
    browser.send("/tasks", act="delete")
    assert browser.told == ["no task was chosen: choose some first"]
    browser.send("/tasks", task="fast", act="eat")
    assert browser.told[0].startswith("act: 'eat' is not allowed; allowed are pause, ")


def test_a_viewer_sees_no_button_that_would_be_refused_and_is_refused(signed_in, full):
    viewer = signed_in(Role.VIEWER)
    for path in ("", "/tasks", "/scheduler", "/alerts"):
        viewer.see(path)
        assert set(viewer.buttons()) <= {"Filter"}, path
    viewer.send("/tasks", task="fast", act="delete")
    assert viewer.status == 403
    assert "which may not do this" in viewer.text
    assert "fast" in full.resources


def test_an_operator_drains_no_worker(signed_in, full):
    operator = signed_in(Role.OPERATOR)
    assert "Drain" not in operator.see()
    operator.send(f"/nodes/{WORKER_ID}/drain")
    assert operator.status == 403


def test_a_worker_is_drained_and_takes_tasks_again(signed_in, backend, monkeypatch):
    nodes = [NodeLoad(WORKER, "worker", 2, 3)]
    monkeypatch.setattr(backend, "nodes", lambda call: nodes)
    browser = signed_in()
    browser.see()
    assert browser.buttons()["Drain"] == f"/dashboard/nodes/{WORKER_ID}/drain"
    browser.send(f"/nodes/{WORKER_ID}/drain")
    assert browser.told[0].startswith(f"{WORKER_ID} is drained")
    browser.send("/nodes/nowhere/uncordon")
    assert "nowhere" in browser.told[0]


def test_while_nobody_leads_a_page_says_so(signed_in, master):
    browser = signed_in()
    master.election.backend = None
    assert "nobody leads" in browser.see("/tasks")
    assert browser.status == 503


def test_a_defect_is_told_without_its_details(signed_in, backend, monkeypatch):
    def broken(call):
        raise ZeroDivisionError("secret")

    browser = signed_in()
    monkeypatch.setattr(backend, "nodes", broken)
    text = browser.see()
    assert browser.status == 500
    assert "secret" not in text


def test_a_page_that_is_not_there_says_so(signed_in):
    browser = signed_in()
    assert "there is no such page" in browser.see("/nowhere")
    assert browser.status == 404


def test_the_strategy_is_switched_and_plugins_are_weighed(signed_in, backend):
    browser = signed_in()
    browser.see("/scheduler")
    view = backend.scheduler(None)
    other = next(each for each in view.strategies if each != view.policy.strategy)
    on = [each.name for each in view.plugins if each.on]
    browser.send("/scheduler", strategy=other, on=on)
    assert browser.told == [
        f"The next pass decides by {other}. No running task moves because of it."
    ]
    browser.send("/scheduler", strategy=other, on=on, **{f"weight-{on[0]}": "heavy"})
    assert browser.told == [f"weight of {on[0]}: 'heavy' is not allowed; a number is"]


def test_a_token_is_shown_once(signed_in):
    browser = signed_in()
    browser.see("/tokens")
    text = browser.send("/tokens", name="deploy", role="operator", labels="team=a", days="30")
    assert "Keep it now" in browser.text
    assert text.status_code == 200
    token = browser.page.cssselect(".told code")[0].text
    assert token.startswith("crawler_")
    assert token not in browser.see("/tokens")
    browser.send("/tokens", name="x", role="king")
    assert "role: 'king' is not allowed" in browser.text
    browser.send("/tokens", name="x", role="viewer", days="0")
    assert "days: '0' is not allowed; allowed are 1 to 3650" in browser.text


def test_rules_of_alerts_are_set_and_removed(signed_in):
    browser = signed_in(Role.OPERATOR)
    browser.see("/alerts")
    browser.send("/alerts/rules", name="away", when="waiting", for_s="1")
    assert browser.told == ["The rule away is set."]
    browser.send("/alerts/rules", name="away", when="waiting", for_s="soon")
    assert browser.told == ["for_s: 'soon' is not allowed; a number is"]


def test_the_audit_is_searched(signed_in):
    browser = signed_in()
    browser.see("/audit?search=nothing-like-this")
    assert "No record matches" in browser.text


def test_a_watched_page_is_a_stream_of_events(signed_in, full):
    answer, found = signed_in(Role.VIEWER).watch("/tasks/live")
    assert answer.content_type == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "task-fast" in found
    assert "checkbox" not in found, "a viewer chooses nothing"


def test_who_may_see_different_things_watches_different_streams(signed_in, full):
    full.resources["ours"] = Resource(Spec("ours", labels={"team": "a"}), id="2")
    _, all_tasks = signed_in(Role.VIEWER).watch("/tasks/live")
    _, bounded = signed_in(Role.VIEWER, labels={"team": "a"}).watch("/tasks/live")
    _, operator = signed_in(Role.OPERATOR).watch("/tasks/live")
    assert "task-fast" in all_tasks
    assert "task-ours" in bounded
    assert "task-fast" not in bounded
    assert "checkbox" in operator


def test_a_follower_shows_the_same_while_it_knows_the_leader(signed_in, master):
    browser = signed_in()
    master.election.backend = None

    def refuse(leader):
        raise Unavailable("the leader went away")

    master.election.remote_backend = refuse
    master.follow("192.168.0.9:9091")
    assert "the leader went away" in browser.see()


def test_a_node_is_shown_with_its_crawl_processes_or_why_it_does_not_tell(signed_in, backend):
    browser = signed_in(Role.VIEWER)
    text = browser.see(f"/nodes/{WORKER_ID}")
    assert "The worker does not tell of them" in text
    assert "processor 50 %" in text
    assert browser.buttons() == {}
    browser.see("/nodes/nowhere")
    assert browser.status == 404
