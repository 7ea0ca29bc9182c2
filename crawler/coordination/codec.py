"""The values in etcd, as other programs read and write them: resources and registrations in JSON.

Written out by hand rather than by a schema library: a new leader decodes a hundred thousand of them
at once. A value that is no such JSON raises ValueError, which says what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from crawler.records import NO_LABELS, Counts, Node, Owner, Resource, Spec, State

VERSION = "latest"

MOST = 2**63 - 1
"""Largest whole number that the API can carry; its priorities are smaller."""

MOST_EPOCH = 2**53
"""Far above every revision of etcd, and so above every epoch that comes of one."""

NODE_METADATA = {
    "broker": "http",
    "protocol": "grpc",
    "registry": "etcd",
    "server": "grpc",
    "transport": "grpc",
}
"""What go-micro writes for a gRPC server."""

_OWN_FIELDS = frozenset(
    {
        *("ID", "Name", "AssignedNode", "CreationTime"),
        *("Spider", "Parameters", "Labels", "Priority", "State", "Reason"),
        *("AwaitsSpider", "Epoch", "Incarnation", "Term", "Counts"),
    }
)


def encode_resource(resource: Resource) -> bytes:
    """The four fields of the interface first; ours beside them, where they say anything."""
    spec, owner, counts = resource.spec, resource.owner, resource.counts
    value: dict[str, Any] = {
        "ID": resource.id,
        "Name": spec.name,
        "AssignedNode": str(owner) if owner else "",
        "CreationTime": resource.creation_time,
        "State": resource.state.value,
    }
    optional = {
        "Spider": spec.spider,
        "Parameters": spec.parameters,
        "Labels": spec.labels,
        "Priority": spec.priority,
        "Reason": resource.reason,
        "AwaitsSpider": resource.awaits_spider,
        "Epoch": resource.epoch,
        "Incarnation": owner.incarnation if owner else 0,
        "Term": resource.term,
        "Counts": {} if counts == Counts() else _encode_counts(counts),
    }
    value.update({key: field for key, field in optional.items() if field})
    value.update(resource.foreign)
    return _dump(value)


def decode_resource(name: str, raw: bytes, mod_revision: int) -> Resource:
    """A resource from its value; missing fields of ours mean their defaults."""
    value = _load_object(raw)
    if _typed(value, "Name", str, name) != name:
        raise ValueError(f"Name is {value['Name']!r}, but the key says {name!r}")
    owner = _decode_owner(value)
    fallback = State.ASSIGNED if owner else State.PENDING
    return Resource(
        spec=Spec(
            name=name,
            spider=_typed(value, "Spider", str, ""),
            parameters=_typed(value, "Parameters", dict, {}),
            labels=_labels(_typed(value, "Labels", dict, {})),
            priority=_whole(value, "Priority", -(2**31), 2**31 - 1),
        ),
        id=_typed(value, "ID", str, ""),
        creation_time=_whole(value, "CreationTime"),
        owner=owner,
        epoch=_whole(value, "Epoch", most=MOST_EPOCH),
        term=_whole(value, "Term"),
        state=State(value["State"]) if value.get("State") else fallback,
        reason=_typed(value, "Reason", str, ""),
        awaits_spider=_typed(value, "AwaitsSpider", bool, False),
        counts=_decode_counts(_typed(value, "Counts", dict, {})),
        foreign={key: field for key, field in value.items() if key not in _OWN_FIELDS},
        mod_revision=mod_revision,
    )


def encode_node(service: str, node: Node) -> bytes:
    """A registration as go-micro's registry writes it."""
    metadata = {**NODE_METADATA, **node.metadata}
    if node.labels:
        metadata["labels"] = json.dumps(node.labels, sort_keys=True)
    if node.spiders is not None:
        metadata["spiders"] = json.dumps(sorted(node.spiders))
    entry = {"id": node.id, "address": node.address, "metadata": metadata}
    return _dump(
        {
            "name": service,
            "version": VERSION,
            "metadata": None,
            "endpoints": [],
            "nodes": [entry],
        }
    )


def decode_node(raw: bytes, create_revision: int) -> Node:
    """The first node of a registration; entries of ours may be missing, as a Go program's are."""
    nodes = _typed(_load_object(raw), "nodes", list, [])
    if not nodes or not isinstance(nodes[0], dict):
        raise ValueError("nodes is empty")
    entries = _typed(nodes[0], "metadata", dict, {})
    metadata = {key: value for key, value in entries.items() if isinstance(value, str)}
    node_id = _typed(nodes[0], "id", str, "")
    if "|" in node_id:
        raise ValueError(f"id is {node_id!r}; '|' ends an id in AssignedNode")
    return Node(
        id=node_id,
        address=_typed(nodes[0], "address", str, ""),
        metadata=metadata,
        labels=_labels_in(metadata),
        spiders=_spiders_in(metadata),
        incarnation=create_revision,
    )


def encode_tombstone(node_id: str, incarnation: int, term: int) -> bytes:
    """The note on a worker whose tasks were given to others, by the leader of that term."""
    return _dump({"ID": node_id, "Incarnation": incarnation, "Term": term})


def decode_tombstone(raw: bytes) -> int:
    """The incarnation declared dead; those before it are dead as well. Raises ValueError."""
    return _whole(_load_object(raw), "Incarnation")


def _labels_in(metadata: Mapping[str, str]) -> Mapping[str, str]:
    """Our entry of a registration; another program's of that name means nothing to us."""
    try:
        return _labels(json.loads(metadata.get("labels", "{}")))
    except (ValueError, RecursionError):
        return NO_LABELS


def _spiders_in(metadata: Mapping[str, str]) -> frozenset[str] | None:
    """Likewise; None means every spider."""
    try:
        spiders = json.loads(metadata.get("spiders", "null"))
    except (ValueError, RecursionError):
        return None
    sound = isinstance(spiders, list) and all(isinstance(name, str) for name in spiders)
    return frozenset(spiders) if sound else None


def _encode_counts(counts: Counts) -> dict[str, Any]:
    return {
        "Pages": counts.pages,
        "Items": counts.items,
        "Failures": counts.failures,
        "Seconds": round(counts.seconds, 3),
    }


def _decode_counts(value: Mapping[str, Any]) -> Counts:
    if not value:
        return Counts()
    return Counts(
        pages=_whole(value, "Pages"),
        items=_whole(value, "Items"),
        failures=_whole(value, "Failures"),
        seconds=float(_typed(value, "Seconds", (int, float), 0.0)),
    )


def _decode_owner(value: Mapping[str, Any]) -> Owner | None:
    assigned: str = _typed(value, "AssignedNode", str, "")
    if not assigned:
        return None
    node_id, _, address = assigned.partition("|")
    return Owner(node_id, address, _whole(value, "Incarnation"))


def _load_object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
        if b"\\u" in raw:  # an escape may stand for half a character, which no UTF-8 can carry
            _dump(value)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object is expected, not {raw[:80]!r}")
    return value


def _typed(value: Mapping[str, Any], key: str, kind: Any, default: Any) -> Any:
    """A field of the given type; null and absence mean the default."""
    found = value.get(key)
    if found is None:
        return default
    if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
        raise ValueError(f"{key} is {found!r:.80}, not {getattr(kind, '__name__', 'a number')}")
    return found


def _whole(value: Mapping[str, Any], key: str, least: int = 0, most: int = MOST) -> int:
    """A whole number that the API can carry."""
    found: int = _typed(value, key, int, 0)
    if not least <= found <= most:
        raise ValueError(f"{key} is {found!r:.80}; {least} to {most} is allowed")
    return found


def _labels(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise ValueError("labels are no map of text to text")
    return value


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
