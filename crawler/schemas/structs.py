"""Converts the parameters of a task to and from a google.protobuf.Struct, for gRPC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import struct_pb2

from crawler.schemas.parameters import whole


def to_struct(parameters: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return parameters as a Struct."""
    struct = struct_pb2.Struct()
    struct.update(parameters)
    return struct


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Return the parameters in a Struct, with whole numbers as int."""
    return {key: _from_value(value) for key, value in struct.fields.items()}


def _from_value(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return from_struct(value.struct_value)
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    if kind == "number_value":
        return whole(value.number_value)
    return None if kind in (None, "null_value") else getattr(value, kind)
