"""The paths of what concerns the whole cluster: nodes, scheduler, tokens, secrets, audit."""

from __future__ import annotations

from flask import Response, request

from crawler.api.http import bodies
from crawler.api.http.asked import (
    answer,
    api,
    backend,
    body_of,
    named_in_path,
    present_call,
    service,
)
from crawler.coordination.token_secret import id_of
from crawler.schemas import audit_schemas, policy_schemas, secret_schemas, token_schemas


@api.get("/node")
def nodes() -> Response:
    """Return the live nodes."""
    call = present_call()
    return answer(bodies.nodes(backend(call).nodes(call)))


@api.post("/node/<name>/drain")
def drain(name: str) -> Response:
    """Cordon a worker, so that its tasks move away and no others arrive."""
    call = present_call()
    return answer(bodies.node(backend(call).drain(policy_schemas.load_node(name), call)))


@api.post("/node/<name>/uncordon")
def uncordon(name: str) -> Response:
    """Let a worker take tasks again."""
    call = present_call()
    return answer(bodies.node(backend(call).uncordon(policy_schemas.load_node(name), call)))


@api.get("/scheduler")
def scheduler() -> Response:
    """Return the policy and the plugins of the scheduler."""
    call = present_call()
    return answer(bodies.scheduler(backend(call).scheduler(call)))


@api.put("/scheduler")
def update_scheduler() -> Response:
    """Change the policy."""
    call = present_call()
    change = policy_schemas.load_policy(body_of(call))
    return answer(bodies.scheduler(backend(call).update_scheduler(change, call)))


@api.post("/scheduler/dry-run")
def dry_run() -> Response:
    """Tell what the scheduler would do after a change of the policy, and change nothing. The path
    is its own: a master that does not know it must not carry the change out."""
    call = present_call()
    change = policy_schemas.load_policy(body_of(call))
    return answer(bodies.dry_run(backend(call).dry_run(change, call)))


@api.delete("/scheduler")
def reset_scheduler() -> Response:
    """Return to the policy of the settings."""
    call = present_call()
    return answer(bodies.scheduler(backend(call).reset_scheduler(call)))


@api.post("/token")
def create_token() -> Response:
    """Make a token. The answer alone has its text."""
    call = present_call()
    wish = token_schemas.load_wish(body_of(call))
    return answer(bodies.new_token(backend(call).create_token(wish, call)))


@api.get("/token")
def tokens() -> Response:
    """Return all tokens, without their texts."""
    call = present_call()
    return answer(bodies.tokens(backend(call).tokens(call)))


@api.delete("/token/<name>")
def revoke_token(name: str) -> Response:
    """End a token, given by its id, or by its whole text."""
    call, id = present_call(), id_of(name)
    return answer(bodies.token(backend(call).revoke_token(id, call)))


@api.put("/secret/<name>")
def set_secret(name: str) -> Response:
    """Set a secret. The body has its value, and may omit its name."""
    call = present_call()
    wish = secret_schemas.load_wish(named_in_path(name, body_of(call)))
    return answer(bodies.secret(backend(call).set_secret(wish, call)))


@api.get("/secret")
def secrets() -> Response:
    """Return all secrets, without their values."""
    call = present_call()
    return answer(bodies.secrets(backend(call).secrets(call)))


@api.delete("/secret/<name>")
def delete_secret(name: str) -> Response:
    """Delete a secret."""
    call = present_call()
    named = secret_schemas.load_name(name)
    return answer(bodies.secret(backend(call).delete_secret(named, call)))


@api.get("/audit")
def audit() -> Response:
    """Return the last changes that callers asked for, and the last refusals, the oldest first."""
    call = present_call()
    limit = audit_schemas.load_limit(request.args.to_dict())
    return answer(bodies.audit(backend(call).audit(limit, call)))


@api.get("/leader")
def leader() -> Response:
    """Return the leader that this master observes."""
    return answer(bodies.leader(service().leader()))
