"""The path of the spiders of a cluster."""

from __future__ import annotations

from flask import Response

from crawler.api.http import bodies
from crawler.api.http.asked import answer, api, parts, present_call, service
from crawler.api.spider_list import Spiders
from crawler.errors import Unavailable


@api.get("/spiders")
def spiders() -> Response:
    """Return which spiders there are, who offers them, and which parameters each takes."""
    call, reach = present_call(), parts().reach
    if reach is None:
        raise Unavailable("this node reaches no workers")
    return answer(bodies.spiders(Spiders(service().backend, reach, call, service().offers).all()))
