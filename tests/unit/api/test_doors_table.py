"""What each role may call: a table over all routes of HTTP and all methods of gRPC."""

import json

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import MethodNotAllowed

from crawler.api.doors import Doors
from crawler.api.health import Health
from crawler.api.http import access as http_access
from crawler.api.http.app import build_app
from crawler.api.rpc import access as rpc_access
from crawler.api.rpc.server import RpcServer
from crawler.api.rpc.worker import CrawlsServicer
from crawler.clock import SystemClock
from crawler.debugging import looks
from crawler.metrics import Metrics
from crawler.model.access import GIVEN, Need, Role
from crawler.settings.sections import ApiSettings
from tests.unit.api.fakes import SECRET, FakeBackend, Known, Master, running
from tests.unit.api.test_worker_statistics import FakeCrawls

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
OUTSIDE = "192.168.0.7"
OPEN = {"node.healthz", "node.readyz"}
SETTINGS = ApiSettings(rate=0)
KEYS = st.sampled_from(
    [
        *("authorization", "x-forwarded-for", "forwarded", "via", "origin", "host-name"),
        *("x-crawler-caller", "x-crawler-forwarded"),
    ]
)
PRINTABLE = st.characters(min_codepoint=32, max_codepoint=126)


def doors(tokens):
    return Doors(tokens, lambda: SECRET, SystemClock())


@pytest.fixture(scope="module")
def tokens():
    return Known()


@pytest.fixture(autouse=True)
def _no_long_profiles(monkeypatch):
    monkeypatch.setattr(looks, "USUAL_S", looks.LEAST_S)


@pytest.fixture(scope="module")
def texts(tokens):
    """A token of each role; a node has the secret of nodes."""
    return {Role.NODE: SECRET, **{role: tokens.make(role) for role in GIVEN}}


@pytest.fixture(scope="module")
def apps(tokens):
    worker = build_app(
        None, Health(), Metrics(), SETTINGS, crawls=FakeCrawls(), doors=doors(tokens)
    )
    return [Master(FakeBackend(), SETTINGS, tokens=tokens).app, worker]


def each_call(apps):
    """Yield each path of each application with each method, whether it has it or not."""
    for app in apps:
        for path in sorted({rule.rule.replace("<name>", "x") for rule in app.url_map.iter_rules()}):
            for method in METHODS:
                yield app, path, method


def answer(app, path, method, token="", address=OUTSIDE, **headers):
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return app.test_client().open(
        path, method=method, headers=headers, environ_base={"REMOTE_ADDR": address}
    )


def test_every_route_and_every_method_of_grpc_has_a_decision(apps):
    endpoints = {rule.endpoint for app in apps for rule in app.url_map.iter_rules()}
    assert endpoints == http_access.NEEDS.keys()
    assert {each for each in endpoints if http_access.NEEDS[each] is Need.NOTHING} == OPEN
    assert set(methods_of_grpc()) == rpc_access.NEEDS.keys()


def need_of(app, path, method):
    """What a call needs; None if the path does not have the method."""
    try:
        endpoint, _ = app.url_map.bind("").match(path, method=method)
    except MethodNotAllowed:
        return None
    return http_access.NEEDS[endpoint]


@pytest.mark.parametrize("role", Role)
def test_over_http_a_role_may_what_the_table_says_and_nothing_else(apps, texts, role):
    for app, path, method in each_call(apps):
        told = f"{role.value}: {method} {path}"
        status = answer(app, path, method, texts[role]).status_code
        need = need_of(app, path, method)
        if need is None:
            assert status == (405 if role.may(Need.READ) else 403), told
        elif role.may(need):
            assert status not in (401, 403, 405, 500), told
        else:
            assert status == 403, told


def test_over_http_nobody_comes_in_without_a_token_but_to_ask_for_health(apps):
    for app, path, method in each_call(apps):
        for address in ("127.0.0.1", OUTSIDE):
            status = answer(app, path, method, address=address).status_code
            is_open = need_of(app, path, method) is Need.NOTHING
            assert (status == 401) != is_open, f"{method} {path}"


def test_what_is_no_path_is_told_to_those_alone_who_may_read(apps, texts):
    for path in ("/", "/crawler", "/crawler/resource/x/y", "/healthz/", "//", "/crawler/%2e%2e"):
        for app in apps:
            assert answer(app, path, "GET").status_code == 401
            assert answer(app, path, "GET", texts[Role.METRICS]).status_code == 403
            assert answer(app, path, "GET", texts[Role.VIEWER]).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer crawler_0_x", "Bearer \u00e9", "Digest a"],
)
def test_a_header_that_is_no_token_is_401(apps, texts, wrong):
    for app in apps:
        client = app.test_client()
        found = client.get("/metrics", headers={"Authorization": wrong})
        assert found.status_code == 401
        assert json.loads(found.data)["message"]


def methods_of_grpc():
    """Yield the full name of each method that a master or a worker serves."""
    from google.protobuf import descriptor_pool
    from grpc_health.v1 import health_pb2
    from grpc_reflection.v1alpha import reflection_pb2

    from crawler.proto import crawler_pb2

    assert descriptor_pool.Default()
    for file in (crawler_pb2, health_pb2, reflection_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                if method.name != "List" or file is not health_pb2:
                    yield f"/{service.full_name}/{method.name}"


@pytest.fixture(scope="module")
def servers(tokens):
    """A master and a worker that listen."""
    master = Master(FakeBackend(), SETTINGS, tokens=tokens)
    worker = RpcServer(
        "127.0.0.1:0",
        Health(),
        Metrics(),
        SETTINGS,
        servicer=CrawlsServicer(FakeCrawls()),
        doors=doors(tokens),
    )
    worker.start()
    with running(master):
        yield {"master": master.address, "worker": f"127.0.0.1:{worker.port}"}
    worker.stop(0.2)


def code_of(address, method, token):
    """The code of one call with an empty message."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    streams = "Reflection" in method or method.endswith("Watch")
    with grpc.insecure_channel(address) as channel:
        try:
            if "Reflection" in method:
                next(channel.stream_stream(method)(iter([b""]), metadata=metadata, timeout=10))
            elif streams:
                next(channel.unary_stream(method)(b"", metadata=metadata, timeout=10))
            else:
                channel.unary_unary(method)(b"", metadata=metadata, timeout=10)
        except grpc.RpcError as error:
            return error.code().name
    return "OK"


@pytest.mark.parametrize("role", [None, *Role], ids=lambda role: role.value if role else "nobody")
@pytest.mark.parametrize("method", sorted(methods_of_grpc()))
def test_over_grpc_a_role_may_what_the_table_says_and_nothing_else(servers, texts, role, method):
    need = rpc_access.NEEDS[method]
    for kind, address in servers.items():
        if kind.capitalize() not in method and method.startswith("/Crawler"):
            continue  # the other kind of node has this one
        code = code_of(address, method, texts[role] if role else "")
        if role is None:
            assert (code == "UNAUTHENTICATED") == (need is not Need.NOTHING), kind
        else:
            assert (code == "PERMISSION_DENIED") == (not role.may(need)), kind
            assert code != "UNAUTHENTICATED", kind


def test_a_stolen_viewer_token_changes_nothing(tokens, texts):
    backend = FakeBackend()
    master = Master(backend, SETTINGS, tokens=tokens)
    add = {"name": "x", "spider": "books"}
    headers = {"Authorization": f"Bearer {texts[Role.OPERATOR]}"}
    assert master.web.post("/crawler/resource", json=add, headers=headers).status_code == 200
    before, calls = dict(backend.resources), len(backend.calls)
    for app, path, method in each_call([master.app]):
        if method not in ("GET", "HEAD", "OPTIONS"):
            assert answer(app, path, method, texts[Role.VIEWER]).status_code in (403, 405)
    assert backend.resources == before
    assert len(backend.calls) == calls
    assert not backend.known


def test_health_tells_strangers_nothing_but_whether_the_node_is_ready(tokens, texts):
    master = Master(FakeBackend(), SETTINGS, tokens=tokens)
    for ready, more in ((False, {"reason": "etcd is away"}), (True, {"leader": "m-1"})):
        master.health.set_ready(ready, **more)
        for address in ("127.0.0.1", OUTSIDE):
            told = json.loads(answer(master.app, "/readyz", "GET", address=address).data)
            assert told == {"ready": ready}
        told = json.loads(answer(master.app, "/readyz", "GET", texts[Role.VIEWER]).data)
        assert told == {"ready": ready, **more}


HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("Authorization", "Host", "Origin", "Referer", "Sec-Fetch-Site", "Content-Type"),
            *("X-Forwarded-For", "Forwarded", "Via", "Grpc-Timeout", "Accept", "Cookie"),
        ]
    ),
    st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=60),
    max_size=6,
)


@given(HEADERS, st.sampled_from(METHODS), st.sampled_from(["127.0.0.1", OUTSIDE, "", "::1"]))
def test_no_headers_open_a_door_or_break_it(apps, headers, method, address):
    for app in apps:
        for path in ("/metrics", "/crawls/x", "/crawler/resource/x"):
            environ = {"REMOTE_ADDR": address}
            client = app.test_client()
            status = client.open(
                path, method=method, headers=headers, environ_base=environ
            ).status_code
            assert status in (400, 401, 403, 405, 429), (headers, method)


@given(st.lists(st.tuples(KEYS, st.text(PRINTABLE, max_size=60)), max_size=5))
def test_no_metadata_opens_a_door_or_breaks_it(servers, metadata):
    with grpc.insecure_channel(servers["master"]) as channel:
        for method in ("ListResources", "CreateToken", "ReportRuns"):
            with pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary(f"/CrawlerMaster/{method}")(b"", metadata=metadata, timeout=10)
            code = refused.value.code().name
            assert code in ("UNAUTHENTICATED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED"), metadata
