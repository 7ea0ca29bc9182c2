"""What a client may send to make a token, for gRPC and HTTP alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

from crawler.errors import shown
from crawler.model.access import GIVEN, Role, TokenWish
from crawler.schemas.task_fields import MISSING, Labels, Text, Whole
from crawler.schemas.task_schemas import Request

MAX_TOKEN_NAME = 200
LAST_NS = 2**63 - 1


class RoleName(fields.Field[Role]):
    """The role of a token that people make."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Role:
        for role in GIVEN:
            if value == role.value:
                return role
        allowed = ", ".join(role.value for role in GIVEN)
        raise ValidationError(f"{shown(value)} is not allowed; allowed: {allowed}")


class TokenSchema(Request):
    """A Token that asks for one. A client may also send back the other fields that it got."""

    ignored = frozenset({"id", "creation_time", "text"})
    name = Text(most=MAX_TOKEN_NAME, load_default="")
    role = RoleName(required=True, error_messages=MISSING)
    labels = Labels(load_default=dict)
    expiration_time = Whole(0, LAST_NS, load_default=0)

    def _record(self, data: dict[str, Any]) -> TokenWish:
        return TokenWish(data["name"], data["role"], data["labels"], data["expiration_time"])


def load_wish(given: Mapping[str, Any]) -> TokenWish:
    """Read what token somebody asks for. Raises InvalidArgument, which names every fault."""
    wish: TokenWish = TokenSchema().read(given)
    return wish
