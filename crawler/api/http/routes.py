"""The paths of HTTP: the API of crawler.proto, and those about the node itself.

Each function reads a request, calls the service, and writes the answer. It raises errors, and `app`
answers them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

import gevent
from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from crawler.api.backend import Call
from crawler.api.doors import Doors
from crawler.api.health import Health
from crawler.api.http import bodies
from crawler.api.http.access import CALLER, approach
from crawler.api.service import Service
from crawler.coordination.token_secret import id_of
from crawler.errors import InvalidArgument, shown
from crawler.metrics import Metrics
from crawler.model.access import Need
from crawler.schemas import (
    audit_schemas,
    policy_schemas,
    schedule_schemas,
    secret_schemas,
    task_schemas,
    token_schemas,
)
from crawler.settings.sections import ApiSettings

EXTENSION = "crawler"
"""The name under which the application keeps its `Parts`."""

MOST_TIMEOUT_S = 86_400.0
"""The longest deadline. Beyond some thousand years it would overflow on its way to the leader."""

_UNITS_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}

api = Blueprint("crawler", __name__, url_prefix="/crawler")
node = Blueprint("node", __name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What an application needs of its node."""

    service: Service | None
    """None on a worker."""
    health: Health
    metrics: Metrics
    settings: ApiSettings
    doors: Doors


def parts() -> Parts:
    """Return the parts of the application that handles the present request."""
    return cast(Parts, current_app.extensions[EXTENSION])


def answer(value: Any, status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(bodies.write(value), status, content_type="application/json")


@api.post("/resource")
def add() -> Response:
    """Store and place a task."""
    call = _call()
    spec, waits = task_schemas.load_addition(_body(call))
    return answer(bodies.placement(_service().backend(call).submit(spec, call, waits)))


@api.delete("/resource")
def delete_by_body() -> Response:
    """Delete the task that the body names."""
    call = _call()
    return _delete(_body(call), call)


@api.get("/resource")
def list_() -> Response:
    """Return a page of the tasks."""
    call = _call()
    query = task_schemas.load_query(_query())
    return answer(bodies.page(_service().backend(call).list(query, call)))


def _query() -> dict[str, Any]:
    """Return what the query asks for. `label` may be there several times."""
    given: dict[str, Any] = request.args.to_dict()
    pairs = request.args.getlist("label")
    if pairs and "labels" not in given:
        del given["label"]
        given["labels"] = dict(map(task_schemas.load_label, pairs))
    return given


@api.get("/resource/<name>")
def get(name: str) -> Response:
    """Return one task."""
    call = _call()
    named = task_schemas.load_name({"name": name})
    return answer(bodies.resource(_service().backend(call).get(named, call)))


@api.put("/resource/<name>")
def update(name: str) -> Response:
    """Change what a task does. The body may omit its name. With `restart` false, a change that
    would restart a run is refused."""
    call = _call()
    given = _named(name, _body(call))
    spec, restart, waits = task_schemas.load_update(given)
    return answer(bodies.resource(_service().backend(call).update(spec, call, restart, waits)))


@api.post("/resource/<name>/again")
def again(name: str) -> Response:
    """Begin a task anew."""
    call = _call()
    named = task_schemas.load_name({"name": name})
    return answer(bodies.resource(_service().backend(call).again(named, call)))


@api.post("/resource/<name>/pause")
def pause(name: str) -> Response:
    """Let a task rest."""
    call = _call()
    named = task_schemas.load_name({"name": name})
    return answer(bodies.resource(_service().backend(call).pause(named, call)))


@api.post("/resource/<name>/resume")
def resume(name: str) -> Response:
    """Let a paused task go on."""
    call = _call()
    named = task_schemas.load_name({"name": name})
    return answer(bodies.resource(_service().backend(call).resume(named, call)))


@api.post("/resource/<name>/stop")
def stop(name: str) -> Response:
    """End a task for good."""
    call = _call()
    named = task_schemas.load_name({"name": name})
    return answer(bodies.resource(_service().backend(call).stop(named, call)))


@api.post("/resource/<name>/run")
def run(name: str) -> Response:
    """Run a finished task once more."""
    call = _call()
    named = task_schemas.load_name({"name": name})
    return answer(bodies.resource(_service().backend(call).run(named, call)))


@api.delete("/resource/<name>")
def delete(name: str) -> Response:
    """Delete a task."""
    return _delete({"name": name}, _call())


@api.get("/node")
def nodes() -> Response:
    """Return the live nodes."""
    call = _call()
    return answer(bodies.nodes(_service().backend(call).nodes(call)))


@api.get("/resource/<name>/explain")
def explain(name: str) -> Response:
    """Explain why a task is where it is, or why it waits."""
    call = _call()
    name = task_schemas.load_name({"name": name})
    return answer(bodies.explanation(_service().backend(call).explain(name, call)))


@api.post("/node/<name>/drain")
def drain(name: str) -> Response:
    """Cordon a worker, so that its tasks move away and no others arrive."""
    call = _call()
    return answer(bodies.node(_service().backend(call).drain(policy_schemas.load_node(name), call)))


@api.post("/node/<name>/uncordon")
def uncordon(name: str) -> Response:
    """Let a worker take tasks again."""
    call = _call()
    return answer(
        bodies.node(_service().backend(call).uncordon(policy_schemas.load_node(name), call))
    )


@api.get("/scheduler")
def scheduler() -> Response:
    """Return the policy and the plugins of the scheduler."""
    call = _call()
    return answer(bodies.scheduler(_service().backend(call).scheduler(call)))


@api.put("/scheduler")
def update_scheduler() -> Response:
    """Change the policy."""
    call = _call()
    change = policy_schemas.load_policy(_body(call))
    backend = _service().backend(call)
    return answer(bodies.scheduler(backend.update_scheduler(change, call)))


@api.delete("/scheduler")
def reset_scheduler() -> Response:
    """Return to the policy of the settings."""
    call = _call()
    return answer(bodies.scheduler(_service().backend(call).reset_scheduler(call)))


@api.post("/token")
def create_token() -> Response:
    """Make a token. The answer alone has its text."""
    call = _call()
    wish = token_schemas.load_wish(_body(call))
    return answer(bodies.new_token(_service().backend(call).create_token(wish, call)))


@api.get("/token")
def tokens() -> Response:
    """Return all tokens, without their texts."""
    call = _call()
    return answer(bodies.tokens(_service().backend(call).tokens(call)))


@api.delete("/token/<name>")
def revoke_token(name: str) -> Response:
    """End a token, given by its id, or by its whole text."""
    call, id = _call(), id_of(name)
    return answer(bodies.token(_service().backend(call).revoke_token(id, call)))


@api.put("/secret/<name>")
def set_secret(name: str) -> Response:
    """Set a secret. The body has its value, and may omit its name."""
    call = _call()
    wish = secret_schemas.load_wish(_named(name, _body(call)))
    return answer(bodies.secret(_service().backend(call).set_secret(wish, call)))


@api.get("/secret")
def secrets() -> Response:
    """Return all secrets, without their values."""
    call = _call()
    return answer(bodies.secrets(_service().backend(call).secrets(call)))


@api.delete("/secret/<name>")
def delete_secret(name: str) -> Response:
    """Delete a secret."""
    call = _call()
    named = secret_schemas.load_name(name)
    return answer(bodies.secret(_service().backend(call).delete_secret(named, call)))


@api.post("/schedule")
def add_schedule() -> Response:
    """Add a schedule."""
    call = _call()
    wish = schedule_schemas.load_schedule(_body(call))
    return answer(bodies.schedule(_service().backend(call).add_schedule(wish, call)))


@api.put("/schedule/<name>")
def update_schedule(name: str) -> Response:
    """Change a schedule."""
    call = _call()
    wish = schedule_schemas.load_schedule(_named(name, _body(call)))
    return answer(bodies.schedule(_service().backend(call).update_schedule(wish, call)))


@api.get("/schedule/<name>")
def schedule(name: str) -> Response:
    """Return one schedule."""
    call = _call()
    named = schedule_schemas.load_schedule_name(name)
    return answer(bodies.schedule(_service().backend(call).schedule(named, call)))


@api.get("/schedule")
def schedules() -> Response:
    """Return all schedules, by name."""
    call = _call()
    return answer(bodies.schedules(_service().backend(call).schedules(call)))


@api.delete("/schedule/<name>")
def delete_schedule(name: str) -> Response:
    """Remove a schedule, and return it. Its task stays."""
    call = _call()
    named = schedule_schemas.load_schedule_name(name)
    return answer(bodies.schedule(_service().backend(call).delete_schedule(named, call)))


@api.post("/schedule/<name>/pause")
def pause_schedule(name: str) -> Response:
    """Let a schedule fire no more."""
    call = _call()
    named = schedule_schemas.load_schedule_name(name)
    return answer(bodies.schedule(_service().backend(call).pause_schedule(named, call)))


@api.post("/schedule/<name>/resume")
def resume_schedule(name: str) -> Response:
    """Let a schedule fire again, from now on."""
    call = _call()
    named = schedule_schemas.load_schedule_name(name)
    return answer(bodies.schedule(_service().backend(call).resume_schedule(named, call)))


@api.post("/schedule/<name>/run")
def run_schedule(name: str) -> Response:
    """Let a schedule fire now."""
    call = _call()
    named = schedule_schemas.load_schedule_name(name)
    return answer(bodies.schedule(_service().backend(call).run_schedule(named, call)))


@api.get("/audit")
def audit() -> Response:
    """Return the last changes that callers asked for, and the last refusals, the oldest first."""
    call = _call()
    limit = audit_schemas.load_limit(request.args.to_dict())
    return answer(bodies.audit(_service().backend(call).audit(limit, call)))


@api.get("/leader")
def leader() -> Response:
    """Return the leader that this master observes."""
    return answer(bodies.leader(_service().leader()))


@node.get("/healthz")
def healthz() -> Response:
    """Answer that the process is alive."""
    return answer({"alive": True})


@node.get("/readyz")
def readyz() -> Response:
    """Return whether the node takes requests. Whoever may read learns why not, or who leads."""
    health, doors = parts().health, parts().doors
    may_read = doors.admits(approach(request.environ), Need.READ)
    if not health.ready:
        return answer({"ready": False, **({"reason": health.reason} if may_read else {})}, 503)
    return answer({"ready": True, **(health.details if may_read else {})})


@node.get("/metrics")
def metrics() -> Response:
    """Return the metrics of the node, for Prometheus."""
    text, content_type = parts().metrics.render(request.headers.get("Accept", ""))
    return Response(text, content_type=content_type)


@node.get("/openapi.json")
def openapi() -> Response:
    """Return the description of this interface, as OpenAPI 3.1."""
    from crawler.api.http.openapi.document import document_of  # few ask, and apispec takes time

    return Response(document_of(current_app), content_type="application/json")


def parse_timeout(text: str) -> float:
    """Return the seconds in a Grpc-Timeout header: up to 8 digits and a unit, as `500m` or `5S`.
    It is a day at most.

    Raises InvalidArgument.
    """
    found = re.fullmatch(r"([0-9]{1,8})([HMSmun])", text)
    if found is None or int(found[1]) == 0:
        raise InvalidArgument(
            f"Grpc-Timeout: {shown(text)} is not allowed; allowed are 1 to 8 digits above "
            "zero and one of H, M, S, m, u, n"
        )
    return min(int(found[1]) * _UNITS_S[found[2]], MOST_TIMEOUT_S)


def _named(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return a body with the name in its path. Raises InvalidArgument if it has another."""
    if given.get("name") is None:
        given["name"] = name
    if given["name"] != name:
        raise InvalidArgument(f"name: {shown(given['name'])} is not the name in the path, {name!r}")
    return given


def _delete(given: dict[str, Any], call: Call) -> Response:
    name = task_schemas.load_name(given)
    _service().backend(call).delete(name, call)
    return answer({})


def _call() -> Call:
    timeout = request.headers.get("Grpc-Timeout")
    timeout_s = parts().settings.timeout_s if timeout is None else parse_timeout(timeout)
    return Call(timeout_s, caller=request.environ[CALLER])


def _service() -> Service:
    return cast(Service, parts().service)


def _body(call: Call) -> dict[str, Any]:
    body = b""
    with gevent.Timeout(call.timeout_s, RequestTimeout):
        body = request.get_data(cache=False)
    # Werkzeug reads a chunked body only up to its limit, and does not report the rest. That limit
    # is one byte above this server's, so that such a body is recognised.
    if len(body) > parts().settings.max_request_bytes:
        raise RequestEntityTooLarge
    return bodies.read_object(body)
