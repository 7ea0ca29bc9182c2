"""What a client may send to set a secret, for gRPC and HTTP alike. No error shows its value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

from crawler.errors import shown
from crawler.model.secrets import LEAST_CHARACTERS, MOST_BYTES, NAME, NAME_WORDS, SecretWish
from crawler.schemas.parameters import is_text
from crawler.schemas.task_fields import MISSING
from crawler.schemas.task_schemas import Request


class SecretName(fields.Field[str]):
    """The name of a secret."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or re.fullmatch(NAME, value) is None:
            raise ValidationError(f"{shown(value)} is not allowed; allowed are {NAME_WORDS}")
        return value


class SecretValue(fields.Field[str]):
    """The value of a secret."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not is_text(value):
            raise ValidationError("what is given is not text")
        size = len(value.encode())
        if len(value) < LEAST_CHARACTERS or size > MOST_BYTES:
            raise ValidationError(
                f"a text of {len(value)} characters ({size} bytes) is not allowed; allowed are"
                f" {LEAST_CHARACTERS} characters or more, so that it can be hidden in texts, and at"
                f" most {MOST_BYTES} bytes"
            )
        return str(value)


class SecretNameSchema(Request):
    """The name of a secret alone."""

    name = SecretName(required=True, error_messages=MISSING)

    def _record(self, data: dict[str, Any]) -> str:
        return str(data["name"])


class SecretSchema(Request):
    """A Secret with its value. A client may also send back the other fields that it got."""

    ignored = frozenset({"set_time", "set_by", "key_id", "setTime", "setBy", "keyId"})
    name = SecretName(required=True, error_messages=MISSING)
    value = SecretValue(required=True, error_messages=MISSING)

    def _record(self, data: dict[str, Any]) -> SecretWish:
        return SecretWish(data["name"], data["value"])


def load_wish(given: Mapping[str, Any]) -> SecretWish:
    """Read which secret somebody sets. Raises InvalidArgument, which names every fault."""
    wish: SecretWish = SecretSchema().read(given)
    return wish


def load_name(name: str) -> str:
    """Read the name of a secret. Raises InvalidArgument."""
    found: str = SecretNameSchema().read({"name": name})
    return found
