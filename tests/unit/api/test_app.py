"""HTTP as curl sees it: exact bodies, and every error in one shape."""

import json
import logging
import runpy
from pathlib import Path

import pytest

from crawler.api.cleaning import MOST_TEXT
from crawler.api.health import Health
from crawler.api.http import server
from crawler.api.http.app import build_app
from crawler.api.http.asked import parse_timeout
from crawler.api.sparse import MOST_LINES
from crawler.clock import ManualClock
from crawler.coordination.token_secret import parts_of
from crawler.errors import (
    AlreadyExists,
    Conflict,
    CrawlerError,
    InvalidArgument,
    LeadershipLost,
    NotFound,
    OutcomeUnknown,
    Unavailable,
)
from crawler.metrics import Metrics
from crawler.model.records import Counts, Leader, Pause, State
from crawler.model.sorting import TOLD_STATES
from crawler.settings.sections import ApiSettings
from tests.unit.api.fakes import WORKER, FakeBackend, Known, Master, body_of
from tests.unit.api.test_metrics import of_queue

RESOURCE = "/crawler/resource"


def test_the_examples_of_the_interface(web):
    added = web.post(RESOURCE, data=b'{"id":"zjx","name":"task-test-4"}')
    assert added.status_code == 200
    assert added.data == b'{"id":"go.micro.server.worker-2","Address":"192.168.0.107:9089"}'
    assert added.content_type == "application/json"
    deleted = web.delete(RESOURCE, data=b'{"name":"task-test-4"}')
    assert (deleted.status_code, deleted.data) == (200, b"{}")
    again = web.delete(RESOURCE, data=b'{"name":"task-test-4"}')
    assert again.status_code == 404
    assert again.data == b'{"code":5,"message":"no such task","details":[]}'


def test_a_pending_task_says_why():
    web = Master(FakeBackend(worker=None)).web
    added = web.post(RESOURCE, json={"name": "x"})
    assert added.data == b'{"id":"","Address":"","reason":"no worker is up"}'


def test_a_task_that_exists_is_told_to_be_no_new_one(web, backend):
    task = {"name": "x", "spider": "books"}
    assert set(body_of(web.post(RESOURCE, json=task))) == {"id", "Address"}
    backend.resources["x"] = backend.resources["x"].replace(state=State.DONE)
    again = body_of(web.post(RESOURCE, json=task))
    assert (again["new"], again["state"]) == (False, "done")
    assert set(again) == {"id", "Address", "new", "state"}


def test_clients_of_the_reference_get_the_two_fields_they_know_however_often_they_ask(web):
    task = b'{"id":"zjx","name":"task-test-4"}'
    answers = [web.post(RESOURCE, data=task).data for _ in range(2)]
    assert answers == [b'{"id":"go.micro.server.worker-2","Address":"192.168.0.107:9089"}'] * 2


def test_flags_of_a_request_are_no_part_of_the_task(web, backend):
    for name in ("wait_for_spider", "waitForSpider"):
        web.post(RESOURCE, json={"name": name, "spider": "later", name: True})
    web.post(RESOURCE, json={"name": "x", "waitForSpider": None})
    assert backend.waits == [True, True, False]
    for given in ({}, {"restart": False}, {"restart": True}):
        web.put(f"{RESOURCE}/x", json=given)
    assert backend.restarts == [None, False, True]
    web.put(f"{RESOURCE}/x", json={"spider": "later", "waitForSpider": True})
    assert backend.waits[3:] == [False, False, False, True]
    refused = web.put(f"{RESOURCE}/x", json={"restart": "no"})
    assert body_of(refused)["message"] == "restart: 'no' is not allowed; allowed: true, false"
    assert web.post(RESOURCE, json={"name": "x", "restart": True}).status_code == 400


def test_a_resource_is_shown_whole(web):
    web.post(RESOURCE, json={"name": "豆瓣", "parameters": {"n": 2.0}, "labels": {"gpu": "yes"}})
    shown = web.get(f"{RESOURCE}/豆瓣")
    assert "豆瓣".encode() in shown.data
    assert body_of(shown) == {
        "id": "1602250527540776960",
        "name": "豆瓣",
        "assignedNode": "go.micro.server.worker-2|192.168.0.107:9089",
        "creationTime": "1670841268798763000",
        "spider": "",
        "parameters": {"n": 2},
        "labels": {"gpu": "yes"},
        "priority": 0,
        "state": "assigned",
        "reason": "",
        "epoch": "1",
        "counts": {"pages": "0", "items": "0", "failures": "0", "seconds": 0.0},
        "retries": 0,
        "assignedTime": "0",
        "failedOn": [],
        "paused": False,
        "stopped": False,
        "run": 1,
        "kills": 0,
        "generation": "0",
        "workers": 1,
        "shard": 0,
        "shardOf": "",
        "running": 0,
        "killedProcesses": 0,
        "isolated": False,
        "project": "",
        "bundle": "",
        "digest": "",
    }


def test_what_a_task_asks_is_shown_as_it_may_be_sent(web):
    asked = {"apart": [{"label": "site"}], "requests": {"cpu": 0.5}}
    task = {"name": "x", "labels": {"site": "books"}, "constraints": asked, "retries": 2}
    assert web.post(RESOURCE, json=task).status_code == 200
    shown = body_of(web.get(f"{RESOURCE}/x"))
    assert shown["constraints"]["requests"] == {"cpu": 0.5}
    assert shown["constraints"]["apart"] == [
        {"label": "site", "value": "", "over": "node", "weight": 0.0}
    ]
    again = body_of(web.put(f"{RESOURCE}/x", json=shown))
    assert (again["constraints"], again["retries"]) == (shown["constraints"], 2)


def test_what_a_task_may_not_ask_is_named_by_its_path(web):
    refused = web.post(RESOURCE, json={"name": "x", "constraints": {"near": [{"label": "site"}]}})
    assert refused.status_code == 400
    assert body_of(refused)["message"] == (
        "constraints.near[0].value: is missing, and the task has no label 'site'"
    )


def test_what_was_shown_may_be_sent_back_changed(web):
    web.post(RESOURCE, json={"name": "x"})
    shown = body_of(web.get(f"{RESOURCE}/x"))
    updated = web.put(f"{RESOURCE}/x", json=shown | {"priority": 3})
    assert body_of(updated) == shown | {"priority": 3}
    assert body_of(web.put(f"{RESOURCE}/x", json={}))["priority"] == 0
    refused = web.put(f"{RESOURCE}/x", json={"name": "y"})
    assert body_of(refused)["message"] == "name: 'y' is not the name in the path, 'x'"
    assert web.put(f"{RESOURCE}/y", json={}).status_code == 404
    assert web.delete(f"{RESOURCE}/x").data == b"{}"
    assert web.delete(f"{RESOURCE}/x").status_code == 404


def test_a_task_begins_anew_and_the_counts_are_what_is_dropped(web, backend):
    web.post("/crawler/resource", json={"name": "a"})
    backend.resources["a"] = backend.resources["a"].replace(counts=Counts(pages=7))
    answer = web.post("/crawler/resource/a/again")
    assert answer.status_code == 200
    assert (answer.json["generation"], answer.json["counts"]["pages"]) == ("1", "7")
    assert backend.resources["a"].counts == Counts()
    assert web.post("/crawler/resource/b/again").status_code == 404


def test_listing_goes_page_by_page(web, backend):
    names = [f"task-{at}" for at in range(5)]
    for name in names:
        web.post(RESOURCE, json={"name": name})
    backend.resources["task-3"] = backend.resources["task-3"].replace(state=State.DONE)
    seen, token = [], ""
    for size_field in ("pageSize", "page_size", "pageSize"):
        page = body_of(web.get(RESOURCE, query_string={size_field: 2, "pageToken": token}))
        assert page["total"] == 5
        seen += [each["name"] for each in page["resources"]]
        token = page["nextPageToken"]
    assert (seen, token) == (names, "")
    done = body_of(web.get(f"{RESOURCE}?state=done"))
    assert [each["name"] for each in done["resources"]] == ["task-3"]
    assert web.get(f"{RESOURCE}?state=lost").status_code == 400
    assert web.get(f"{RESOURCE}?pageToken=nonsense").status_code == 400


def test_a_listing_is_searched_sorted_and_counted(web, backend):
    for at, name in enumerate(["Books", "toys", "old-books", "games"]):
        web.post(RESOURCE, json={"name": name, "spider": "shop" if at else "other"})
        changed = backend.resources[name].replace(counts=Counts(pages=at, items=5))
        backend.resources[name] = changed
    backend.resources["toys"] = backend.resources["toys"].replace(paused=Pause("by me"))

    def listed(**query):
        page = body_of(web.get(RESOURCE, query_string=query))
        return [each["name"] for each in page["resources"]], page["counts"]

    none = dict.fromkeys(TOLD_STATES, 0)
    assert listed() == (
        ["Books", "games", "old-books", "toys"],
        none | {"assigned": 3, "paused": 1},
    )
    assert listed(search="bOOK") == (["Books", "old-books"], none | {"assigned": 2})
    assert listed(spider="shop", sort="pages") == (
        ["toys", "old-books", "games"],
        none | {"assigned": 2, "paused": 1},
    )
    assert listed(spider="shop", state="paused") == (["toys"], none | {"assigned": 2, "paused": 1})
    assert listed(sort="items", descending="true")[0] == ["Books", "games", "old-books", "toys"]
    assert listed(sort="pages", descending="true", node=WORKER.id)[0][0] == "games"
    assert listed(node="w-1") == ([], none)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sort=age", "sort: 'age' is not allowed; allowed: name, state, spider, node, created, "),
        ("descending=yes", "descending: 'yes' is not allowed; allowed: true, false"),
        (f"search={'a' * 129}", "search: 'aaa"),
        (f"spider={'a' * 257}", "spider: 'aaa"),
        (f"node={'a' * 257}", "node: 'aaa"),
        ("sorted=name", "'sorted' is not a field; did you mean sort?"),
    ],
)
def test_a_listing_of_no_such_kind_is_refused(web, query, said):
    answer = web.get(f"{RESOURCE}?{query}")
    assert answer.status_code == 400
    assert said in body_of(answer)["message"]


def test_nodes(web):
    master, worker = body_of(web.get("/crawler/node"))["nodes"]
    assert (master["role"], master["everySpider"], master["spiders"]) == ("master", True, [])
    assert worker == {
        "id": "go.micro.server.worker-2",
        "address": "192.168.0.107:9089",
        "role": "worker",
        "labels": {"gpu": "yes"},
        "spiders": ["books", "quotes"],
        "everySpider": False,
        "metadata": {"protocol": "grpc"},
        "incarnation": "7",
        "unfinished": 2,
        "resources": 3,
        "capacity": {"cpu": 4.0, "memory": 512.5},
        "taints": ["spot=yes:NoSchedule"],
        "used": {"cpu": 1.5},
        "cordoned": True,
        "load": {"cpu": 0.5, "lagS": 0.25, "disk": 0},
    }


def test_the_leader():
    master = Master()
    none = master.web.get("/crawler/leader")
    assert (none.status_code, none.headers["Retry-After"]) == (503, "1")
    master.election.observed = Leader("master2-192.168.0.107:9091", "192.168.0.107:9091")
    shown = master.web.get("/crawler/leader")
    assert shown.data == b'{"id":"master2-192.168.0.107:9091","address":"192.168.0.107:9091"}'


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidArgument("m"), 400, 3),
        (NotFound("m"), 404, 5),
        (AlreadyExists("m"), 409, 6),
        (Conflict("m"), 409, 10),
        (Unavailable("m"), 503, 14),
        (LeadershipLost("m"), 503, 14),
        (OutcomeUnknown("m"), 504, 4),
        (CrawlerError("m"), 500, 13),
    ],
)
def test_every_error_has_its_status(web, backend, error, status, code):
    backend.before = raising(error)
    answer = web.post(RESOURCE, json={"name": "x"})
    assert answer.status_code == status
    assert body_of(answer) == {"code": code, "message": "m", "details": []}


def test_codes_passed_on_from_another_master_keep_their_status(web, backend):
    for name, status in (("RESOURCE_EXHAUSTED", 429), ("UNIMPLEMENTED", 501), ("UNKNOWN", 500)):
        error = CrawlerError("m")
        error.code = name
        backend.before = raising(error)
        assert web.get("/crawler/node").status_code == status


def test_unavailable_says_when_to_come_back(web, backend):
    backend.before = raising(Unavailable("later", retry_after_s=2.2))
    assert web.get("/crawler/node").headers["Retry-After"] == "3"


def test_a_defect_leaves_no_trace_outside(web, backend, caplog):
    backend.before = raising(ZeroDivisionError("the secret"))
    answer = web.post(RESOURCE, json={"name": "x"})
    assert answer.status_code == 500
    assert body_of(answer)["code"] == 13
    assert b"internal error; see the log of this node, id " in answer.data
    assert b"secret" not in answer.data
    assert b"Traceback" not in answer.data
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.fields["error_id"] in answer.text


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"{", "the body is not JSON"),
        (b"[]", "the body is a JSON list; allowed is an object"),
        (b'"x"', "the body is a JSON str"),
        (b'{"name":NaN}', "NaN is no JSON value"),
        (b"\xff\xfe\xfd", "the body is not JSON"),
        (b"name=x", "the body is not JSON"),
        (b'{"a":' * 50_000, "the body is nested too deeply"),
        (b"", "name: is missing"),
        (b"{}", "name: is missing"),
        (b'{"name":"x","colour":"red"}', "'colour' is not a field"),
        (b'{"name":"\\ud800"}', "name: '\\\\ud800' is not allowed"),
        (b'{"name":"x","\\ud800":1}', "is not a field"),
        (b'{"name":"x","priority":' + b"9" * 5000 + b"}", "a number has thousands of digits"),
    ],
)
def test_bad_bodies(web, body, part):
    answer = web.post(RESOURCE, data=body)
    assert answer.status_code == 400
    told = body_of(answer)
    assert told["code"] == 3
    assert part in answer.text


def test_a_body_may_be_too_large():
    web = Master(FakeBackend(), ApiSettings(max_request_bytes=1024)).web
    fits = b'{"name":"x"}'.ljust(1024)
    assert web.post(RESOURCE, data=fits).status_code == 200
    for size in (1025, 1026, 100_000):
        answer = web.post(RESOURCE, data=fits.ljust(size))
        assert answer.status_code == 413
        assert body_of(answer)["code"] == 8
        assert ": 1024 bytes, by its setting" in body_of(answer)["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, 5),
        ("GET", "//crawler/resource", 404, 5),
        ("GET", "/crawler//resource", 404, 5),
        ("GET", "/crawler/resource/", 404, 5),
        ("PATCH", "/crawler/resource", 405, 12),
        ("POST", "/crawler/leader", 405, 12),
        ("BREW", "/crawler/node", 405, 12),
    ],
)
def test_unknown_paths_and_methods(web, method, path, status, code):
    # Flask's client takes what follows two slashes for a host.
    answer = web.open(path, method=method, environ_overrides={"HTTP_HOST": "localhost"})
    assert answer.status_code == status
    assert body_of(answer)["code"] == code
    assert ("Allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5S", 5.0),
        ("500m", 0.5),
        ("2M", 120.0),
        ("1H", 3600.0),
        ("7u", 7e-6),
        ("99999999H", 86_400.0),
    ],
)
def test_timeouts(text, seconds):
    assert parse_timeout(text) == pytest.approx(seconds)


def test_the_deadline_comes_with_the_request_or_from_the_settings(backend):
    web = Master(backend, ApiSettings(timeout_s=7.0)).web
    web.get("/crawler/node")
    web.get("/crawler/node", headers={"Grpc-Timeout": "500m"})
    assert [call.timeout_s for call in backend.calls] == [7.0, 0.5]
    assert not any(call.forwarded for call in backend.calls)
    for bad in ("5", "S", "0S", "123456789S", "5s", "-1S", ""):
        answer = web.get("/crawler/node", headers={"Grpc-Timeout": bad})
        assert answer.status_code == 400
        assert "allowed are 1 to 8 digits" in body_of(answer)["message"]


def test_health_and_readiness():
    master = Master(FakeBackend())
    assert master.web.get("/healthz").status_code == 200
    starting = master.web.get("/readyz")
    assert starting.status_code == 503
    assert starting.data == b'{"ready":false,"reason":"the node is starting"}'
    master.health.set_ready(True, leader="master1-h:1")
    assert master.web.get("/readyz").data == b'{"ready":true,"leader":"master1-h:1"}'
    master.health.shut_down()
    assert master.web.get("/readyz").status_code == 503


def test_requests_are_counted_by_route_and_not_by_name(web):
    web.get(f"{RESOURCE}/a")
    web.get(f"{RESOURCE}/b")
    web.open("/nowhere", method="BREW")
    text = web.get("/metrics")
    assert text.content_type.startswith("text/plain")
    line = (
        'crawler_http_seconds_count{method="GET",route="/crawler/resource/<name>",status="404"} 2.0'
    )
    assert line in text.text.splitlines()
    assert "BREW" not in text.text


def test_only_requests_that_failed_are_told_to_operators(web, caplog):
    def told(level):
        caplog.clear()
        caplog.set_level(level)
        web.post(RESOURCE, json={"name": "a"})
        web.get(f"{RESOURCE}/a")
        web.get(f"{RESOURCE}/b", environ_overrides={"REMOTE_ADDR": "192.168.0.9"})
        lines = [record for record in caplog.records if record.getMessage() == "http"]
        return [(each.levelname, each.fields["path"], each.fields["status"]) for each in lines]

    failed = ("INFO", f"{RESOURCE}/b", 403)
    assert told(logging.INFO) == [failed]
    assert caplog.records[-1].fields["peer"] == "192.168.0.9"
    added, got = ("DEBUG", RESOURCE, 200), ("DEBUG", f"{RESOURCE}/a", 200)
    assert told(logging.DEBUG) == [added, got, failed]


def test_a_worker_has_health_readiness_and_metrics_only():
    web = build_app(None, Health(), Metrics(), ApiSettings()).test_client()
    assert [web.get(path).status_code for path in ("/healthz", "/metrics")] == [200, 200]
    assert web.get("/readyz").status_code == 503
    assert web.get("/crawler/leader").status_code == 404
    assert json.loads(web.post(RESOURCE, data=b"{}").data)["code"] == 5


def raising(error):
    def raise_it():
        raise error

    return raise_it


def test_requests_under_way_are_shown(backend):
    seen, master = [], Master(backend)
    backend.before = lambda: seen.append(of_queue(master.metrics, "http requests")[0])
    assert master.web.get("/crawler/node").status_code == 200
    assert master.web.get("/crawler/resource/none").status_code == 404
    assert seen == [1, 1]
    assert of_queue(master.metrics, "http requests")[0] == 0


def test_gunicorn_has_the_limits_of_the_servers_of_our_own():
    limits = runpy.run_path(str(Path(__file__).parents[3] / "gunicorn.conf.py"))
    assert limits["worker_connections"] == server.MAX_CONNECTIONS
    assert limits["keepalive"] == server.HEAD_S


def test_a_null_in_the_place_of_the_name_of_an_updated_task_counts_as_absent(web):
    web.post("/crawler/resource", json={"name": "x"})
    updated = web.put("/crawler/resource/x", json={"name": None, "priority": 3})
    assert body_of(updated)["priority"] == 3


def lines_of(caplog):
    return [record for record in caplog.records if record.getMessage() == "http"]


def test_a_flood_of_refused_requests_is_no_flood_of_lines(caplog):
    """Nor does it hide a request that fails in this node."""
    caplog.set_level(logging.INFO)
    clock = ManualClock()
    backend = FakeBackend()
    web = Master(backend, ApiSettings(rate=0), clock=clock).web
    for number in range(3 * MOST_LINES):
        assert web.get(f"/nothing/{'x' * 6000}/{number}").status_code == 404
        assert web.post("/openapi.json").status_code == 405
    assert len(lines_of(caplog)) == MOST_LINES
    assert max(len(record.fields["path"]) for record in lines_of(caplog)) == MOST_TEXT
    backend.before = lambda: 1 / 0
    assert web.get(f"{RESOURCE}/x").status_code == 500
    assert len(lines_of(caplog)) == MOST_LINES + 1
    clock.advance(1.0)
    web.get("/nothing")
    assert len(lines_of(caplog)) == MOST_LINES + 2


def test_no_token_in_a_path_comes_into_the_log(caplog):
    caplog.set_level(logging.DEBUG)
    tokens = Known()
    text = tokens.make()
    id, secret = parts_of(text)
    login = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    backend = FakeBackend()
    web = Master(backend, tokens=tokens).web
    admin = {"Authorization": f"Bearer {text}"}
    for headers in ({}, admin):
        for path in (f"token/{text}", f"token/{text}x", f"nothing/{text}", f"token/{login}"):
            web.delete(f"/crawler/{path}", headers=headers)
    backend.before = lambda: 1 / 0
    assert web.get(f"{RESOURCE}/{text}", headers=admin).status_code == 500
    told = "\n".join(str(record.__dict__) for record in caplog.records)
    assert f"crawler_{id}_" in told
    assert secret not in told
    assert login not in told
    assert "eyJzdWI" not in told


def test_a_whole_token_stands_for_its_id():
    backend = FakeBackend()
    text = backend.known.make()
    id, _ = parts_of(text)
    web = Master(backend).web
    assert body_of(web.delete(f"/crawler/token/{text}"))["id"] == id
