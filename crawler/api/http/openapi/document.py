"""Builds the OpenAPI document of a node from the routes of its application."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from werkzeug.routing import Rule

import crawler
from crawler.api.http import bodies
from crawler.api.http.openapi import answers, requests
from crawler.api.http.openapi.answers import Schema, ref
from crawler.api.http.openapi.operations import ERRORS, OPERATIONS, Operation
from crawler.api.http.pages import PAGES

ADDED_BY_FLASK = frozenset({"HEAD", "OPTIONS"})
"""Methods that every path has besides: HEAD where there is a GET, and OPTIONS."""

_EXTENSION = "crawler.openapi"
"""The name under which an application keeps its document."""

_ABOUT = """\
Every path that has GET has HEAD too. OPTIONS tells the methods of a path. Another method gets 405,
and another path 404, with the same body as every error. An error has the numbers of gRPC in its
`code`.
"""

_TIMEOUT = {
    "name": "Grpc-Timeout",
    "in": "header",
    "description": "How long the client waits: 1 to 8 digits and a unit (H, M, S, m, u, n).",
    "schema": {"type": "string", "pattern": "^0*[1-9][0-9]*[HMSmun]$", "maxLength": 9},
}
_TOKEN = {"type": "http", "scheme": "bearer", "description": "An admin makes them: see /token."}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "In how many seconds the same request may succeed.",
        "schema": {"type": "integer", "minimum": 0},
    }
}


def document_of(app: Flask) -> bytes:
    """Return the document of an application as JSON. It is built once."""
    if _EXTENSION not in app.extensions:
        app.extensions[_EXTENSION] = bodies.write(_build(app))
    found: bytes = app.extensions[_EXTENSION]
    return found


def _build(app: Flask) -> Schema:
    marshmallow = MarshmallowPlugin()
    spec = APISpec(
        title="Distributed crawler",
        version=crawler.__version__,
        openapi_version="3.1.0",
        info={"description": _ABOUT},
        plugins=[marshmallow],
    )
    converter = marshmallow.converter
    assert converter is not None  # APISpec has made it
    asked = requests.bodies(converter)
    for name, schema in {**asked, **answers.schemas()}.items():
        spec.components.schema(name, schema)
    spec.components.security_scheme("token", _TOKEN)
    for status in ERRORS:
        spec.components.response(_named(status), _error(status))
    query = requests.query(converter)
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith(PAGES):  # they are for people
            _add(spec, app, rule, query)
    return _pruned(spec.to_dict())


def _add(spec: APISpec, app: Flask, rule: Rule, query: list[Schema]) -> None:
    """Add the methods of a route."""
    made = OPERATIONS[rule.endpoint]
    told = inspect.cleandoc(app.view_functions[rule.endpoint].__doc__ or "").replace("\n", " ")
    operation = {
        "operationId": made.id,
        "summary": told.split(". ")[0].rstrip("."),
        "description": told,
        "parameters": list(_parameters(made, rule, query)),
        "responses": dict(_responses(made)),
    }
    if made.is_guarded:  # nothing is needed as long as the cluster has no token
        operation["security"] = [{"token": []}, {}]
    if made.body:  # an empty body is an empty object
        needed = bool(spec.components.schemas[made.body].get("required", True))
        content = {made.takes: {"schema": ref(made.body)}}
        operation["requestBody"] = {"required": needed, "content": content}
    path = rule.rule.replace("<", "{").replace(">", "}")
    spec.path(path=path, operations={method.lower(): operation for method in _methods(rule)})


def _methods(rule: Rule) -> list[str]:
    return sorted((rule.methods or set()) - ADDED_BY_FLASK)


def _parameters(made: Operation, rule: Rule, query: list[Schema]) -> Iterator[Schema]:
    for name in sorted(rule.arguments):
        yield {"name": name, "in": "path", "required": True, "schema": made.name}
    if made.has_query:
        yield from query
    yield from made.query
    if made.has_deadline:
        yield _TIMEOUT


def _responses(made: Operation) -> Iterator[tuple[str, Any]]:
    content = {kind: {"schema": made.answer} for kind in made.types}
    yield "200", {"description": "It is done.", "content": content}
    for status, schema in made.others.items():
        content = {"application/json": {"schema": schema}}
        yield str(status), {"description": HTTPStatus(status).phrase, "content": content}
    for status in sorted(made.errors):
        yield str(status), _named(status)


def _error(status: int) -> Schema:
    found: Schema = {
        "description": ERRORS[status],
        "content": {"application/json": {"schema": ref("Error")}},
    }
    return {**found, "headers": _RETRY_AFTER} if status in (429, 503) else found


def _named(status: int) -> str:
    """Return the name of an error's response, for example `NotFound`."""
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("-", "")


def _pruned(document: Schema) -> Schema:
    """Return the document without the components that this node's routes do not use."""
    used: set[str] = set()
    left: list[Any] = [document["paths"]]
    while left:
        names = set(_references(left.pop())) - used
        used |= names
        left += [_at(document, name) for name in names]
    parts = {
        kind: {name: each for name, each in found.items() if f"#/components/{kind}/{name}" in used}
        for kind, found in document["components"].items()
    }
    parts["securitySchemes"] = document["components"]["securitySchemes"]
    return {**document, "components": parts}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _references(each)


def _at(document: Schema, reference: str) -> Any:
    found: Any = document
    for part in reference.split("/")[1:]:
        found = found[part]
    return found
