"""A distributed crawler. What a spider needs is exported here: `Spider`, `Request`, `Response`.

The exports are looked up on first use: importing the package loads nothing, so that the process
can be prepared for gevent (crawler.runtime) before anything else is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crawler.engine.response import Response
    from crawler.engine.spider import Request, Spider

__all__ = ["Spider", "Request", "Response"]


def __getattr__(name: str) -> Any:
    if name in ("Spider", "Request"):
        from crawler.engine import spider

        return getattr(spider, name)
    if name == "Response":
        from crawler.engine.response import Response

        return Response
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
