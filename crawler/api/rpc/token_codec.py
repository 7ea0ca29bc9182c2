"""Converts tokens to messages, and back."""

from __future__ import annotations

from typing import Any

from crawler.api import fields
from crawler.model.access import NewToken, Role, Token, TokenWish
from crawler.proto import crawler_pb2 as pb


def wish_message(wish: TokenWish) -> pb.Token:
    """Return the request for a token."""
    return pb.Token(
        name=wish.name,
        role=wish.role.value,
        labels=dict(wish.labels),
        expiration_time=wish.expires_ns,
    )


def wish_fields(message: pb.Token) -> dict[str, Any]:
    """Return the fields of a request for `token_schemas.load_wish`."""
    return {
        "name": message.name,
        "role": message.role,
        "labels": dict(message.labels),
        "expiration_time": message.expiration_time,
    }


def token_message(token: Token) -> pb.Token:
    """Return a token without its text."""
    return pb.Token(**fields.of_token(token))


def new_token_message(made: NewToken) -> pb.Token:
    """Return a token that was just made, with its text."""
    return pb.Token(**fields.of_new_token(made))


def token_from(message: pb.Token) -> Token:
    """Return a token as a client knows it: without the hash of its secret."""
    return Token(
        id=message.id,
        name=message.name,
        role=Role(message.role),
        hashed=b"",
        salt=b"",
        created_ns=message.creation_time,
        expires_ns=message.expiration_time,
        labels=dict(message.labels),
    )
