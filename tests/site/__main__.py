"""Serves the test site, with the pages of examples/ported, at port 8100 until it is interrupted."""

from contextlib import suppress

from gevent.event import Event

from tests.site.ported import PORTED
from tests.site.site import Site

PORT = 8100

if __name__ == "__main__":
    with Site(pages=PORTED, port=PORT) as site:
        print(f"serving {', '.join(site.url(f'/{name}/') for name in PORTED)}")
        with suppress(KeyboardInterrupt):
            Event().wait()
