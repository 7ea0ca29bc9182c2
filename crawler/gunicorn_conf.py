"""gunicorn's own settings for a node: `gunicorn -c python:crawler.gunicorn_conf app:master`.

In a checkout gunicorn finds them by itself, through gunicorn.conf.py.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

# A node must be made in the process that runs it: no gRPC channel survives a fork.
preload_app = False

# The nodes need gevent, whether or not somebody thinks of `-k gevent`.
worker_class = "gevent"

# A clean stop first stops crawls and deregisters, then waits for requests under way.
graceful_timeout = 15

# As the node's own HTTP server has it (crawler/api/http/server.py): so many connections, and so
# many seconds for the headers of a connection's next request.
worker_connections = 512
keepalive = 5

# Its path is the same for all servers of a user: the second would take it from the first.
control_socket_disable = True


certfile: str | None = None
keyfile: str | None = None


def _serve_tls() -> None:
    """Let gunicorn serve TLS if the nodes do. It asks for these files; a process of it then takes
    the context of its node."""
    global certfile, keyfile
    from crawler.errors import ConfigError
    from crawler.settings import config

    with contextlib.suppress(ConfigError):  # on_starting tells of it
        settings = config.load(os.environ.get("CRAWLER_CONFIG"), os.environ)
        if settings.tls.cert:
            certfile = str(Path(settings.folder, settings.tls.cert))
            keyfile = str(Path(settings.folder, settings.tls.key))


_serve_tls()


def ssl_context(gunicorn_settings: Any, usual: Any) -> Any:
    """Return what wraps connections in TLS: with the certificates of the node, as they are now."""
    from crawler.api.http.tls import Context

    return Context.of_process or usual()


def on_starting(server: Any) -> None:
    """Refuse bad settings once, before there are processes each of which would. Let one
    of these tell what they find out alone."""
    from crawler import boot
    from crawler.errors import ConfigError
    from crawler.settings import config

    try:
        config.load(os.environ.get("CRAWLER_CONFIG"), os.environ)
    except ConfigError as error:
        print(f"crawler: bad settings, nothing was started:\n{error}", file=sys.stderr)
        sys.exit(2)
    boot.FAILURE.share()
