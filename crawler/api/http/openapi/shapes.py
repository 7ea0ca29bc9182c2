"""The shapes of requests as JSON Schema, as this program reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crawler.api.http.openapi.answers import WHOLE, Schema


def closed(properties: Mapping[str, Schema], *required: str) -> Schema:
    """Return the schema of an object that has no other fields. A null counts as absent."""
    return {
        "type": "object",
        "properties": {
            name: value if name in required else or_null(value)
            for name, value in properties.items()
        },
        "required": sorted(required),
        "additionalProperties": False,
    }


def or_null(schema: Schema) -> Schema:
    """Return a schema that also takes null."""
    if not schema:
        return schema
    if "enum" in schema or not isinstance(schema.get("type"), str | list):
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [*_types(schema["type"]), "null"]}


def whole(least: int, most: int) -> Schema:
    """Return the schema of an integer, as a number or as text; text is held to the bounds too."""
    return {
        "type": ["integer", "string"],
        "minimum": least,
        "maximum": most,
        "pattern": WHOLE,
        "description": f"from {least} to {most}, as a number or as text",
    }


def _types(types: str | Iterable[str]) -> list[str]:
    return [types] if isinstance(types, str) else list(types)
