"""What a request shows of where it began: at a page of another site, or by a name of another site.

A page in somebody's browser may send requests to every address that this browser reaches, so also
to a node on the same machine that asks nobody there for a token.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from socket import gethostname

SAME_ORIGIN = "same-origin"
"""What Sec-Fetch-Site says of pages of this node. Of an address that was typed it says `none`."""

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:]*))(?::[0-9]*)?")
_OWN_NAME = gethostname().lower()


def is_from_a_page(site: str | None, origin: str | None, host: str) -> bool:
    """Return whether a browser makes a request for a page that did not come from this node, by
    Sec-Fetch-Site, Origin and Host.

    Browsers add an Origin to each request of another site's page that could change something, and
    no page can prevent that.
    """
    if site == SAME_ORIGIN:  # also if a proxy between them has changed the host
        return False
    if site not in (None, "none"):
        return True
    return origin is not None and origin.partition("://")[2] != host


@lru_cache(maxsize=1000)
def other_host(host: str) -> str:
    """Return the host that a request names, if that may be another than this machine; else an empty
    text.

    Whoever owns a name may let it lead to 127.0.0.1 (DNS rebinding). Then a browser takes a node
    for the site of that name. Only a browser names a host that it was lured to, and it always names
    one.
    """
    name = _name_in(host).lower().rstrip(".")
    if name in ("", "localhost", _OWN_NAME) or name.endswith(".localhost"):
        return ""
    try:
        ip_address(name)
    except ValueError:
        return host
    return ""


def _name_in(host: str) -> str:
    """Return a Host without its port."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]) if found else host
