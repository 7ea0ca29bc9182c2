"""The session of `crawler shell`: the last page, and functions to fetch and view pages."""

from __future__ import annotations

import code
import contextlib
import mimetypes
import signal
import sys
import tempfile
import webbrowser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import crawler
from crawler.devtools.page_fetcher import Pages
from crawler.engine.http.headers import Headers
from crawler.engine.http.request import Request
from crawler.engine.http.response import Response
from crawler.errors import CrawlerError

HELP = """\
response    the last page            request   the request for it
css, xpath  selectors on the page    spider    the spider, with its settings and cookies
fetch(URL or Request)                get another page, which becomes `response`
view(response)                       open the page in a browser
shelp()                              show this"""


class Shell:
    """Holds the names that expressions see. `fetch` renews the names of the page."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self.names: dict[str, Any] = {name: getattr(crawler, name) for name in crawler.__all__}
        self.names |= {
            "crawler": crawler,
            "spider": pages.spider,
            "settings": pages.spider.settings,
            "fetch": self.fetch,
            "view": view,
            "shelp": lambda: print(HELP),
            "response": None,
            "request": None,
        }

    def fetch(self, target: str | Request) -> Response:
        """Get a page, or a file of this machine, and make it `response`. Raises CrawlerError."""
        request = target if isinstance(target, Request) else Request(address(target))
        path = _path(request.url)
        response = self._get(request) if path is None else read_file(path)
        self.names |= {
            "response": response,
            "request": response.request,
            "css": response.css,
            "xpath": response.xpath,
        }
        return response

    def evaluate(self, source: str) -> Any:
        """Run code. Returns the value of an expression, else None. Raises what the code raises."""
        try:
            compiled = compile(source, "<code>", "eval")
        except SyntaxError:
            exec(compile(source, "<code>", "exec"), self.names)
            return None
        return eval(compiled, self.names)

    def interact(self) -> None:
        """Read and run code until the input ends. Uses IPython if it is installed."""
        try:
            from IPython.terminal.embed import InteractiveShellEmbed
        except ImportError:
            InteractiveShellEmbed = None
        if InteractiveShellEmbed is not None:
            InteractiveShellEmbed(banner1=f"{HELP}\n", user_ns=self.names)()
        else:
            _with_history(self.names)
            Console(self.names).interact(HELP, exitmsg="")

    def _get(self, request: Request) -> Response:
        with _on_sigint(self._pages):
            return self._pages.get(request)


class Console(code.InteractiveConsole):
    """Reads and runs code. It reports an error of a page in one line."""

    def showtraceback(self) -> None:
        """Show an exception: its message if it is one of the crawler's, else its traceback."""
        error = sys.exc_info()[1]
        if isinstance(error, CrawlerError):
            self.write(f"{error}\n")
        else:
            super().showtraceback()


def address(target: str) -> str:
    """The URL of a target: a file URL if it looks like a path, else with http:// before it."""
    if target.startswith(("./", "../", "/", "~")) or (
        "://" not in target and Path(target).is_file()
    ):
        return Path(target).expanduser().resolve().as_uri()
    return target if "://" in target else f"http://{target}"


def read_file(path: Path) -> Response:
    """Read a page from a file. Raises CrawlerError."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise CrawlerError(f"{path}: cannot be read: {error.strerror}") from error
    kind = mimetypes.guess_type(path.name)[0] or "text/html"
    return Response(path.as_uri(), headers=Headers([("content-type", kind)]), body=body)


def view(response: Response) -> str:
    """Open a page in a browser, from a file that is returned. Links stay as on the site."""
    body = response.body
    if b"<base" not in body[:4096].lower():
        base = f'<base href="{response.url}">'.encode()
        head = body.lower().find(b"<head>") + len(b"<head>")
        at = head if head >= len(b"<head>") else 0
        body = body[:at] + base + body[at:]
    with tempfile.NamedTemporaryFile(suffix=".html", delete=False) as file:
        file.write(body)
    webbrowser.open(Path(file.name).as_uri())
    return file.name


def _path(url: str) -> Path | None:
    return Path(unquote(urlsplit(url).path)) if url.startswith("file://") else None


def _with_history(names: Mapping[str, Any]) -> None:
    """Let the arrow keys and the tab key work as usual."""
    with contextlib.suppress(ImportError):
        import readline
        import rlcompleter

        readline.set_completer(rlcompleter.Completer(dict(names)).complete)
        readline.parse_and_bind("tab: complete")


@contextlib.contextmanager
def _on_sigint(pages: Pages) -> Iterator[None]:
    """Ctrl-C gives up the page that the shell waits for, but does not end the shell."""
    before = signal.signal(signal.SIGINT, lambda *_: pages.interrupt())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
