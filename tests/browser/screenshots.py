"""Makes the pictures of the documentation from a cluster that runs: make screenshots.

    python -m tests.browser.screenshots [VIEW …]

It starts `crawler up --demo`, waits until there is something to see, and takes a picture of each
view, in light and in dark, into docs/pictures. Without names, all views are taken.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from crawler.runtime import prepare

prepare()

from tests.browser import chromium  # noqa: E402
from tests.browser.house import sign_in  # noqa: E402
from tests.waiting import PATIENCE_S, eventually  # noqa: E402

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs/pictures"
SIZE = {"width": 1200, "height": 750}
MOST_BYTES = 150_000
"""No picture may be larger: whoever clones the repository gets them all."""
SEEN_AFTER_MS = 30_000
"""After that a chart of the last minute has something to show."""

VIEWS = {
    "cluster": "/dashboard",
    "tasks": "/dashboard/tasks",
    "task": "/dashboard/tasks/watch-fiction",
    "schedules": "/dashboard/schedules",
    "scheduler": "/dashboard/scheduler",
}
"""The name of each picture, and what it shows."""


def main(names):
    """Take them; 1 when one is too large, or there is no browser."""
    if chromium.PROGRAM is None:
        print(chromium.MISSING, file=sys.stderr)
        return 1
    PICTURES.mkdir(exist_ok=True)
    with demo() as (origin, token), chromium.launched() as browser:
        take(browser, origin, token, names or VIEWS)
    large = [path.name for path in PICTURES.iterdir() if path.stat().st_size > MOST_BYTES]
    if large:
        print(f"larger than {MOST_BYTES} bytes: {', '.join(sorted(large))}", file=sys.stderr)
    return int(bool(large))


def take(browser, origin, token, names):
    """Take a picture of each view in both schemes of colours."""
    look = {"viewport": SIZE, "reduced_motion": "reduce", "locale": "en-GB"}
    window = chromium.Window(browser, origin, timezone_id="Europe/Berlin", **look)
    sign_in(window, token)
    for name in names:
        window.open(VIEWS[name])
        window.page.wait_for_timeout(SEEN_AFTER_MS)
        for scheme in ("light", "dark"):
            window.page.emulate_media(color_scheme=scheme)
            path = PICTURES / f"{name}-{scheme}.png"
            window.page.screenshot(path=path, animations="disabled")
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")
    window.close()


@contextmanager
def demo():
    """The demo cluster, with something to see: where its page is, and a token."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "up.log")
        command = [sys.executable, "-m", "crawler", "up", "--demo"]
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
        try:
            eventually(
                lambda: "Ctrl-C" in log.read_text() or process.poll() is not None,
                3 * PATIENCE_S,
                what="the demo is up",
                every_s=0.5,
            )
            told = log.read_text()
            assert process.poll() is None, told
            [origin] = re.findall(r"^master 1 +(http\S+)", told, re.MULTILINE)
            [token] = re.findall(r"^token +(crawler_\S+)", told, re.MULTILINE)
            yield origin, token
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
