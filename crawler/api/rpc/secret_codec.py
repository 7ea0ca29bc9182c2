"""Converts secrets to messages, and back. Only a request has a value."""

from __future__ import annotations

from typing import Any

from crawler.api import fields
from crawler.model.secrets import Secret, SecretWish
from crawler.proto import crawler_pb2 as pb


def wish_message(wish: SecretWish) -> pb.Secret:
    """Return the request that sets a secret."""
    return pb.Secret(name=wish.name, value=wish.value)


def wish_fields(message: pb.Secret) -> dict[str, Any]:
    """Return the fields of such a request for `secret_schemas.load_wish`."""
    value = message.value if message.HasField("value") else None
    return {"name": message.name, "value": value}


def secret_message(secret: Secret) -> pb.Secret:
    """Return a secret without its value."""
    return pb.Secret(**fields.of_secret(secret))


def secret_from(message: pb.Secret) -> Secret:
    """Return a secret as a client knows it."""
    return Secret(message.name, message.set_time, message.set_by, message.key_id)
