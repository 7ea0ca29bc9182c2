"""What the application asks of pages for people, which are built in a room of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from flask import Flask

from crawler.model.access import Need

PAGES = "dashboard"
"""How the endpoints of pages begin."""


class Pages(Protocol):
    """The pages of a master."""

    @property
    def needs(self) -> Mapping[str, Need]:
        """What each route needs, by its endpoint."""
        ...

    @property
    def actions(self) -> Mapping[str, str]:
        """The words of the audit for routes, by their endpoints."""
        ...

    def begin(self, app: Flask) -> None:
        """Let an application serve them."""
        ...

    def authorization(self) -> str:
        """Return what the session of the present request shows, as in an Authorization header;
        empty if nobody has signed in. Raises Unavailable."""
        ...
