"""A node keeps to its own OpenAPI document: its answers to requests that are drawn from it."""

import re

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from crawler.coordination.sealing import new_key
from crawler.model.access import Role, TokenWish
from crawler.settings.sections import ApiSettings, SecretsSettings
from tests.clusters import CALL, Cluster
from tests.waiting import PATIENCE_S, eventually

POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE

CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]
"""What holds of each answer."""

BEYOND_SCHEMAS = re.compile(
    r"is offered by no live worker|has no label|is not the name in the path|is no plugin"
    r"|strategy: .* is unknown|page_token|beyond 2\^53|at most 3 decimals|nested deeper"
    r"|is to be disabled too|nothing is shared between workers|allowed is an integer from"
    r"|expiration_?[tT]ime|to run it once more:|its run \d+ has not ended"
    r"|is no sound ZIP file|is not deployed|needs a project"
    r"|when: |time_?[zZ]one: |overlap allow|as alerts\.channels of the settings"
)
"""What is refused by rules that no schema tells: between two fields or a task and the cluster, of
numbers as text, of decimals, of times, and of the life of a task."""

DOOR = {}
"""The header with which a request comes in."""

LEFT_OUT = ("/debug/profile", "/crawler/resource/{name}/logs")
"""The first takes as many seconds as are drawn, and the second may last as long as a task."""

BUSY = "waited too long|no answer in time|did not answer within"
"""What a request with a short deadline gets."""


@schemathesis.serializer("application/zip")
def _as_it_is(context, value):
    """What is drawn for a bundle is text."""
    return str(value).encode(errors="replace")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """A master and a worker that serve whoever has the token of an admin."""
    cluster = Cluster(tmp_path_factory.mktemp("openapi"))
    try:
        unlimited = ApiSettings(rate=0)
        keys = SecretsSettings(key=[new_key()])
        master = cluster.master("1", api=unlimited, secrets=keys)
        worker = cluster.worker("1", api=unlimited)
        made = cluster.client().create_token(TokenWish("ours", Role.ADMIN), CALL)
        DOOR["Authorization"] = f"Bearer {made.text}"
        eventually(lambda: requests.get(url_of(worker), headers=DOOR, timeout=PATIENCE_S).ok)
        yield {"master": master, "worker": worker}
    finally:
        DOOR.clear()
        cluster.stop()


def url_of(node):
    return f"http://{node.http_address}/openapi.json"


def operations(node):
    """The operations in the document of a node."""
    schema = schemathesis.openapi.from_url(url_of(node), headers=DOOR, timeout=PATIENCE_S)
    schema.config.generation.update(with_security_parameters=False)  # we give the token ourselves
    every = [found.ok() for found in schema.get_all_operations()]
    return [found for found in every if found.path not in LEFT_OUT]


def keeps_to_its_document(operation, mode, **fixed):
    """Draw requests, and check each answer."""

    @settings(
        max_examples=max(2, settings().max_examples // 5),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        phases=[Phase.generate],  # the next request finds another cluster, so none can be repeated
    )
    @given(case=operation.as_strategy(mode, **fixed))
    def answers(case):
        answer = case.call(session=session, headers=DOOR)
        blank = not (answer.request.body or b"{}").strip()  # it counts as an empty object
        more = [] if blank else [checks.negative_data_rejection]
        case.validate_response(answer, checks=CHECKS + more)
        if answer.status_code >= 500:
            assert re.search(BUSY, answer.text), answer.text
        if mode is POSITIVE and answer.status_code == 400:
            assert BEYOND_SCHEMAS.search(answer.json()["message"]), answer.text

    with requests.Session() as session:
        answers()


@pytest.mark.parametrize("role", ["master", "worker"])
def test_a_request_by_the_document_is_taken_and_answered_by_it(nodes, role):
    for operation in operations(nodes[role]):
        keeps_to_its_document(operation, POSITIVE)


def test_a_request_about_what_there_is_gets_an_answer_by_the_document(nodes):
    master = nodes["master"]
    for operation in operations(master):
        if operation.path_parameters:
            task = {"name": "known", "spider": "none", "waitForSpider": True}
            url = f"http://{master.http_address}/crawler/resource"
            added = requests.post(url, json=task, headers=DOOR, timeout=PATIENCE_S)
            assert added.status_code in (200, 409)
            name = "1" if "/node/" in operation.path else "known"
            keeps_to_its_document(operation, POSITIVE, path_parameters={"name": name})


def test_a_request_against_the_document_is_refused(nodes):
    for operation in operations(nodes["master"]):
        if operation.body or operation.query or operation.headers:
            keeps_to_its_document(operation, NEGATIVE)
