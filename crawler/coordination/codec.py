"""Resources in etcd, as other programs read and write them.

A value that is no such JSON raises ValueError, which says what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from crawler.coordination.fields import (
    labels,
    load_object,
    quoted,
    text_of,
    typed,
    whole,
)
from crawler.coordination.keys import Keys
from crawler.coordination.store import KeyValue
from crawler.model.constraints import NONE, Constraints
from crawler.model.records import NO_COUNTS, Counts, Owner, Resource, Spec, State, shared_owner
from crawler.schemas import constraint_json
from crawler.schemas.readers import Faulty
from crawler.schemas.task_schemas import MAX_RETRIES

MOST_KILLS = 2**31 - 1
"""Largest count of dead workers that the API can carry."""

CACHED = 4096
"""Constraints kept in both forms, as many tasks ask for the same."""

MOST_EPOCH = 2**53
"""Far above every revision of etcd, and so above every epoch that comes of one."""

_OWN_FIELDS = frozenset(
    {
        *("ID", "Name", "AssignedNode", "CreationTime"),
        *("Spider", "Parameters", "Labels", "Priority", "State", "Reason"),
        *("AwaitsSpider", "Epoch", "Incarnation", "Term", "Counts", "AssignedTime"),
        *("Constraints", "Retries", "FailedOn", "Kills"),
    }
)

_TEXTS = {state: state.value for state in State}

_RARE_FIELDS = frozenset({"Constraints", "Retries", "FailedOn", "Kills"})
"""Most resources have none of these, and are not asked for each of them."""


def encode_resource(resource: Resource, term: int = 0) -> bytes:
    """The four fields of the interface first; ours beside them, where they say anything.

    `term` is that of the leader who writes it, instead of the one that wrote it last.
    """
    spec, owner = resource.spec, resource.owner
    term = term or resource.term
    # What nearly all tasks have is written as text, in a fourth of the time that the encoder takes.
    text = (
        f'{{"ID":{quoted(resource.id)},"Name":{quoted(spec.name)}'
        f',"AssignedNode":{quoted(owner.text if owner is not None else "")}'
        f',"CreationTime":{resource.creation_time},"State":"{_TEXTS[resource.state]}"'
    )
    if spec.spider:
        text += f',"Spider":{quoted(spec.spider)}'
    if resource.epoch:
        text += f',"Epoch":{resource.epoch}'
    if owner is not None and owner.incarnation:
        text += f',"Incarnation":{owner.incarnation}'
    if term:
        text += f',"Term":{term}'
    if resource.assigned_time:
        text += f',"AssignedTime":{resource.assigned_time}'
    rest = _rest(resource)
    if rest:
        text += f",{text_of(rest)[1:-1]}"
    return f"{text}}}".encode()


def _rest(resource: Resource) -> dict[str, Any]:
    """What most tasks have nothing to say of."""
    value = _wishes(resource.spec)
    if resource.reason:
        value["Reason"] = resource.reason
    if resource.awaits_spider:
        value["AwaitsSpider"] = True
    if resource.counts is not NO_COUNTS and resource.counts != NO_COUNTS:
        value["Counts"] = _encode_counts(resource.counts)
    if resource.failed_on:
        value["FailedOn"] = resource.failed_on
    if resource.kills:
        value["Kills"] = resource.kills
    if resource.foreign:
        value.update(resource.foreign)
    return value


def _wishes(spec: Spec) -> dict[str, Any]:
    value: dict[str, Any] = {}
    if spec.parameters:
        value["Parameters"] = spec.parameters
    if spec.labels:
        value["Labels"] = spec.labels
    if spec.priority:
        value["Priority"] = spec.priority
    if spec.retries:
        value["Retries"] = spec.retries
    if spec.constraints is not NONE and (asked := _encode_constraints(spec.constraints)):
        value["Constraints"] = asked
    return value


def decode_stored(keys: Keys, kv: KeyValue) -> Resource | None:
    """A mirror's decoder: resources only, not the election below the same prefix. Raises
    ValueError."""
    name = keys.resource_name(kv.key)
    return None if name is None else decode_resource(name, kv.value, kv.mod_revision)


def decode_resource(name: str, raw: bytes, mod_revision: int) -> Resource:
    """A resource from its value; missing fields of ours mean their defaults."""
    value = load_object(raw)
    if typed(value, "Name", str, name) != name:
        raise ValueError(f"Name is {value['Name']!r}, but the key says {name!r}")
    owner = _decode_owner(value)
    rare = {} if _RARE_FIELDS.isdisjoint(value) else value
    fallback = State.ASSIGNED if owner else State.PENDING
    return Resource(
        spec=Spec(
            name=name,
            spider=typed(value, "Spider", str, ""),
            parameters=typed(value, "Parameters", dict, {}),
            labels=labels(typed(value, "Labels", dict, {})),
            priority=whole(value, "Priority", -(2**31), 2**31 - 1),
            constraints=_decode_constraints(rare) if rare else NONE,
            retries=whole(rare, "Retries", most=MAX_RETRIES) if rare else 0,
        ),
        id=typed(value, "ID", str, ""),
        creation_time=whole(value, "CreationTime"),
        owner=owner,
        epoch=whole(value, "Epoch", most=MOST_EPOCH),
        term=whole(value, "Term"),
        state=State(value["State"]) if value.get("State") else fallback,
        reason=typed(value, "Reason", str, ""),
        awaits_spider=typed(value, "AwaitsSpider", bool, False),
        counts=_decode_counts(typed(value, "Counts", dict, {})),
        assigned_time=whole(value, "AssignedTime"),
        failed_on=_texts(rare, "FailedOn") if rare else (),
        kills=whole(rare, "Kills", most=MOST_KILLS) if rare else 0,
        foreign={key: field for key, field in value.items() if key not in _OWN_FIELDS},
        mod_revision=mod_revision,
    )


def _encode_counts(counts: Counts) -> dict[str, Any]:
    return {
        "Pages": counts.pages,
        "Items": counts.items,
        "Failures": counts.failures,
        "Seconds": round(counts.seconds, 3),
    }


def _decode_counts(value: Mapping[str, Any]) -> Counts:
    if not value:
        return NO_COUNTS
    return Counts(
        pages=whole(value, "Pages"),
        items=whole(value, "Items"),
        failures=whole(value, "Failures"),
        seconds=float(typed(value, "Seconds", (int, float), 0.0)),
    )


def _decode_constraints(value: Mapping[str, Any]) -> Constraints:
    found = typed(value, "Constraints", dict, {})
    try:
        return _constraints_in(json.dumps(found)) if found else NONE
    except RecursionError as error:
        raise ValueError("Constraints are nested too deeply") from error


@lru_cache(CACHED)
def _constraints_in(text: str) -> Constraints:
    try:
        return constraint_json.read(json.loads(text))
    except Faulty as fault:
        raise ValueError(fault.told("Constraints")) from None


@lru_cache(CACHED)
def _encode_constraints(constraints: Constraints) -> Mapping[str, Any]:
    """What it says, and no defaults; nobody changes it."""
    written = constraint_json.write(constraints)
    return {
        key: [_saying(each) for each in field] if isinstance(field, list) else field
        for key, field in written.items()
        if field
    }


def _saying(term: Mapping[str, Any]) -> dict[str, Any]:
    return {key: field for key, field in term.items() if field}


def _decode_owner(value: Mapping[str, Any]) -> Owner | None:
    assigned: str = typed(value, "AssignedNode", str, "")
    if not assigned:
        return None
    node_id, _, address = assigned.partition("|")
    return shared_owner(node_id, address, whole(value, "Incarnation"))


def _texts(value: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found: list[Any] = typed(value, key, list, [])
    if not all(isinstance(text, str) for text in found):
        raise ValueError(f"{key} is {found!r:.80}, not a list of text")
    return tuple(found)
