"""The OpenAPI document: valid, complete, and as strict as the server."""

import json
import subprocess
import sys

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from crawler.api.health import Health
from crawler.api.http.app import build_app
from crawler.api.http.openapi.document import ADDED_BY_FLASK
from crawler.errors import InvalidArgument
from crawler.metrics import Metrics
from crawler.model.alerts import Alert, AlertRule, When
from crawler.model.records import Counts, Spec
from crawler.model.secrets import SecretWish
from crawler.schemas import constraint_json, policy_schemas, task_schemas
from crawler.settings.sections import ApiSettings
from tests.unit.api.fakes import CALL, FakeBackend, Master, body_of
from tests.unit.api.test_worker_statistics import FakeCrawls

PATH = "/openapi.json"


def worker_app():
    return build_app(None, Health(), Metrics(), ApiSettings(), crawls=FakeCrawls())


APPS = {"master": lambda: Master(FakeBackend()).app, "worker": worker_app}


@pytest.fixture(params=APPS)
def app(request):
    return APPS[request.param]()


def document_of(app):
    return body_of(app.test_client().get(PATH))


def validator(document, name):
    """A validator of one schema of a document."""
    return Draft202012Validator({**document, "$ref": f"#/components/schemas/{name}"})


def test_the_document_is_valid_openapi(app):
    document = document_of(app)
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_the_document_has_each_route_and_method_and_no_other(app):
    routes = {
        (rule.rule.replace("<", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods - ADDED_BY_FLASK
    }
    paths = document_of(app)["paths"]
    assert {(path, method) for path, found in paths.items() for method in found} == routes


def test_each_operation_has_its_own_id_and_says_what_it_does(app):
    operations = [each for path in document_of(app)["paths"].values() for each in path.values()]
    assert len({each["operationId"] for each in operations}) == len(operations)
    assert all(each["summary"] for each in operations)


def test_a_worker_tells_nothing_of_what_a_master_does():
    document = document_of(worker_app())
    assert "/crawls/{name}" in document["paths"]
    assert not [path for path in document["paths"] if path.startswith("/crawler")]
    assert "ResourceSpec" not in document["components"]["schemas"]


def test_the_document_is_made_once(app):
    web = app.test_client()
    web.get(PATH)
    made = app.extensions["crawler.openapi"]
    web.get(PATH)
    assert app.extensions["crawler.openapi"] is made


def test_the_document_costs_nothing_before_somebody_asks_for_it():
    code = "import sys, crawler.api.http.app; assert 'apispec' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_each_path_of_a_node_answers_by_its_schema():
    backend = FakeBackend()
    master = Master(backend)
    master.health.set_ready(True)
    backend.add(Spec("x", constraints=constraint_json.read(ALL_TERMS)), CALL)
    backend.resources["x"] = backend.resources["x"].replace(counts=Counts(1, 2, 3, 4.5))
    backend.set_secret(SecretWish("shop", "open-sesame"), CALL)
    backend.set_alert_rule(AlertRule("a", When.LATE, {"team": "b"}, ("ops",), 2.0, 5.0), CALL)
    alert = Alert("a", When.LATE, "task x", "1", "late", 5, {"team": "b"}, 6, "over", ("ops",))
    backend.known_alerts.append(alert)
    worker = worker_app()
    asked = [(master.app, path) for path in MASTER] + [(worker, path) for path in WORKER]
    for app, path in asked:
        document, answer = document_of(app), app.test_client().get(path)
        route = path.replace("/x", "/{name}").replace("/fiction", "/{name}")
        told = document["paths"][route]["get"]["responses"][str(answer.status_code)]
        schema = told["content"]["application/json"]["schema"]
        Draft202012Validator({**document, **schema}).validate(body_of(answer))
        assert not undescribed(document, schema, body_of(answer)), path


MASTER = [
    *("/healthz", "/readyz", "/crawler/resource", "/crawler/resource/x", "/crawler/node"),
    *("/crawler/resource/x/explain", "/crawler/scheduler", "/crawler/secret"),
    *("/crawler/alerts", "/crawler/alerts/rules"),
]
WORKER = ["/readyz", "/crawls", "/crawls/fiction", "/processes"]

ALL_TERMS = {
    "node": "1",
    "requests": {"cpu": 0.5},
    "required": [{"label": "zone", "operator": "In", "values": ["a"]}],
    "preferred": [{"label": "zone", "operator": "Gt", "values": ["3"], "weight": 2}],
    "near": [{"label": "app", "value": "web"}],
    "apart": [{"label": "app", "value": "web", "over": "zone", "weight": 1.5}],
    "spread": [{"over": "zone", "label": "app", "value": "web", "maxSkew": "2"}],
    "tolerations": [{"key": "spot", "effect": "NoSchedule"}],
}


def undescribed(document, schema, value, place=""):
    """The places in a value about which a schema says nothing."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list) and "items" in schema:
        value = {str(at): each for at, each in enumerate(value)}
        inside = dict.fromkeys(value, schema["items"])
    elif isinstance(value, dict) and "properties" in schema:
        inside = schema["properties"]
    elif isinstance(value, dict) and "additionalProperties" in schema:
        inside = dict.fromkeys(value, schema["additionalProperties"])
    else:
        return []
    return [f"{place}.{key}" for key in value if key not in inside] + [
        each
        for key in value.keys() & inside.keys()
        for each in undescribed(document, inside[key], value[key], f"{place}.{key}")
    ]


def task(**fields):
    return {"name": "x", **fields}


def constrained(**fields):
    return task(constraints=fields)


def term(operator, *values, **more):
    return {"label": "zone", "operator": operator, "values": list(values), **more}


READERS = {
    "TaskAddition": task_schemas.load_addition,
    "TaskUpdate": lambda given: task_schemas.load_update({"name": "x", **given}),
    "TaskName": task_schemas.load_name,
    "PolicyChange": policy_schemas.load_policy,
}

TAKEN = [
    ("TaskAddition", task(spider="", labels={"a": ""}, priority="-2147483648", retries=1000)),
    ("TaskAddition", task(waitForSpider=True, wait_for_spider=None, isolated="true")),
    ("TaskAddition", task(id=1, assignedNode=[], counts={}, killedProcesses="?", reason=None)),
    ("TaskAddition", task(name="x" * 128, spider="x" * 128, workers=64, priority=3.0)),
    ("TaskAddition", task(parameters={"a": [None, {"b": 1e300}], "": "\x00"})),
    ("TaskAddition", task(spider=None, labels=None, constraints=None, parameters=None)),
    ("TaskAddition", constrained(**ALL_TERMS)),
    ("TaskAddition", constrained(required=[term("Exists"), {"label": "a", "operator": "Exists"}])),
    ("TaskAddition", constrained(required=[term("Lt", "-" + "9" * 18)], near=None)),
    (
        "TaskAddition",
        constrained(spread=[{"over": "z", "label": "a", "value": "b", "max_skew": 1}]),
    ),
    ("TaskAddition", constrained(tolerations=[{"effect": ""}, {"effect": None}, {}])),
    ("TaskAddition", constrained(requests={"x" * 63: 10**12})),
    ("TaskUpdate", {"restart": False, "spider": "y"}),
    ("TaskUpdate", {}),
    ("TaskName", {"name": "a/b", "spider": 3, "counts": None}),
    ("PolicyChange", {"weights": {"a": 10**9}, "weigh": {"a": None}, "disable": [], "plugins": 3}),
    ("PolicyChange", {}),
]

REFUSED = [
    ("TaskAddition", {}),
    ("TaskAddition", task(name=None)),
    ("TaskAddition", task(unknown=1)),
    ("TaskAddition", task(unknown=None)),
    ("TaskAddition", task(restart=True)),
    *(
        ("TaskAddition", task(name=name))
        for name in ("", "a/b", "a\nb", "\x80", "election", "x" * 129)
    ),
    ("TaskAddition", task(priority=2**31)),
    ("TaskAddition", task(priority="1.5")),
    ("TaskAddition", task(retries=-1)),
    ("TaskAddition", task(workers=0)),
    ("TaskAddition", task(isolated="yes")),
    ("TaskAddition", task(waitForSpider="true")),
    ("TaskAddition", task(labels={"a": 1})),
    ("TaskAddition", task(labels={"a": None})),
    ("TaskAddition", task(parameters=[])),
    ("TaskAddition", task(parameters={"a": [1.1e300]})),
    ("TaskAddition", constrained(unknown=None)),
    ("TaskAddition", constrained(requests={"x" * 64: 1})),
    ("TaskAddition", constrained(requests={"cpu": 0})),
    ("TaskAddition", constrained(requests={"cpu": None})),
    ("TaskAddition", constrained(required=[term("In")])),
    ("TaskAddition", constrained(required=[term("Exists", "a")])),
    ("TaskAddition", constrained(required=[term("Gt", "a")])),
    ("TaskAddition", constrained(required=[term("Gt", "1", "2")])),
    ("TaskAddition", constrained(required=[term("Is", "1")])),
    ("TaskAddition", constrained(required=[term("In", "a", weight=1)])),
    ("TaskAddition", constrained(preferred=[term("In", "a", weight=0)])),
    ("TaskAddition", constrained(near=[{"value": "a"}])),
    ("TaskAddition", constrained(near=[{"label": "", "value": "a"}])),
    ("TaskAddition", constrained(near=[{"label": "a", "value": "b"}] * 65)),
    ("TaskAddition", constrained(spread=[{"over": "z", "label": "a", "value": "b", "maxSkew": 0}])),
    ("TaskAddition", constrained(tolerations=[{"effect": "NoExecute"}])),
    ("TaskUpdate", {"restart": "no"}),
    ("TaskName", {"name": ""}),
    ("TaskName", {"name": "x", "page": 1}),
    ("PolicyChange", {"strategy": ""}),
    ("PolicyChange", {"weights": {"a": None}}),
    ("PolicyChange", {"weigh": {"a": -1}}),
    ("PolicyChange", {"enable": [1]}),
    ("PolicyChange", {"enabled": []}),
]


@pytest.mark.parametrize(("name", "given"), TAKEN, ids=json.dumps)
def test_what_the_server_takes_is_valid(name, given, document):
    READERS[name](given)
    validator(document, name).validate(given)


@pytest.mark.parametrize(("name", "given"), REFUSED, ids=json.dumps)
def test_what_the_server_refuses_is_invalid(name, given, document):
    with pytest.raises(InvalidArgument):
        READERS[name](given)
    assert not validator(document, name).is_valid(given)


@pytest.fixture(scope="module")
def document():
    return document_of(APPS["master"]())


def test_the_pages_for_people_are_no_part_of_the_document():
    with_pages = Master(FakeBackend(), has_pages=True)
    assert document_of(with_pages.app) == document_of(Master(FakeBackend()).app)
    with_pages.pages.stop()
