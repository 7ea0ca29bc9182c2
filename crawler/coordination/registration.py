"""Reads and writes registrations in the format of go-micro, including those of other languages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from crawler.coordination import fields
from crawler.model.constraints import MOST_AMOUNT, Taint
from crawler.model.records import NO_LABELS, Node

VERSION = "latest"

NODE_METADATA = {
    "broker": "http",
    "protocol": "grpc",
    "registry": "etcd",
    "server": "grpc",
    "transport": "grpc",
}
"""The metadata that go-micro writes for a gRPC server."""


def encode_node(service: str, node: Node) -> bytes:
    """Encode a registration as go-micro's registry does."""
    metadata = {**NODE_METADATA, **node.metadata}
    if node.labels:
        metadata["labels"] = json.dumps(node.labels, sort_keys=True)
    if node.spiders is not None:
        metadata["spiders"] = json.dumps(sorted(node.spiders))
    if node.capacity:
        metadata["capacity"] = json.dumps(node.capacity, sort_keys=True)
    if node.taints:
        metadata["taints"] = json.dumps([str(taint) for taint in node.taints])
    entry = {"id": node.id, "address": node.address, "metadata": metadata}
    return fields.dump(
        {
            "name": service,
            "version": VERSION,
            "metadata": None,
            "endpoints": [],
            "nodes": [entry],
        }
    )


def decode_node(raw: bytes, create_revision: int) -> Node:
    """Decode the first node of a registration. This program's entries may be absent, as in a
    registration of a Go program.

    Raises ValueError.
    """
    nodes = fields.typed(fields.load_object(raw), "nodes", list, [])
    if not nodes or not isinstance(nodes[0], dict):
        raise ValueError("nodes is empty")
    entries = fields.typed(nodes[0], "metadata", dict, {})
    metadata = {key: value for key, value in entries.items() if isinstance(value, str)}
    node_id = fields.typed(nodes[0], "id", str, "")
    if "|" in node_id:
        raise ValueError(f"id is {node_id!r}; '|' ends an id in AssignedNode")
    return Node(
        id=node_id,
        address=fields.typed(nodes[0], "address", str, ""),
        metadata=metadata,
        labels=_labels_in(metadata),
        spiders=_spiders_in(metadata),
        incarnation=create_revision,
        capacity=_capacity_in(metadata),
        taints=_taints_in(metadata),
    )


def _entry(metadata: Mapping[str, str], key: str) -> Any:
    """Return this program's entry of a registration. A value of another format under its name is
    ignored."""
    try:
        entry = json.loads(metadata.get(key, "null"))
        fields.dump({key: entry})  # JSON may contain half a surrogate pair, which is no text
    except (ValueError, RecursionError):
        return None
    return entry


def _labels_in(metadata: Mapping[str, str]) -> Mapping[str, str]:
    try:
        return fields.labels(_entry(metadata, "labels"))
    except ValueError:
        return NO_LABELS


def _spiders_in(metadata: Mapping[str, str]) -> frozenset[str] | None:
    """Return the spiders of a worker; None means every spider."""
    spiders = _entry(metadata, "spiders")
    sound = isinstance(spiders, list) and all(isinstance(name, str) for name in spiders)
    return frozenset(spiders) if sound else None


def _capacity_in(metadata: Mapping[str, str]) -> Mapping[str, float]:
    capacity = _entry(metadata, "capacity")
    sound = isinstance(capacity, dict) and all(map(_is_amount, capacity.values()))
    return {key: float(amount) for key, amount in capacity.items()} if sound else {}


def _taints_in(metadata: Mapping[str, str]) -> tuple[Taint, ...]:
    taints = _entry(metadata, "taints")
    if not isinstance(taints, list) or not all(isinstance(taint, str) for taint in taints):
        return ()
    try:
        return tuple(map(Taint.parse, taints))
    except ValueError:
        return ()


def _is_amount(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value <= MOST_AMOUNT
