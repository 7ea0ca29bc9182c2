"""docs/operations.md names the queues and numbers there are."""

import re
from pathlib import Path

from crawler.coordination.keys import MASTER, WORKER
from crawler.node.node import Node
from crawler.settings.sections import ApiSettings, Settings
from crawler.settings.tracing import TracingSettings
from tests.tls import Folder

TEXT = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()


def test_every_queue_of_a_master_is_described_with_its_limit():
    described = dict(re.findall(r"^\| `([a-z ]+)` \| [^|]*?\(([\d,]+)[;)]", TEXT, re.MULTILINE))
    assert {name: float(limit.replace(",", "")) for name, limit in described.items()} == limits()


def test_every_number_is_described_and_every_one_described_is_there(tmp_path):
    folder = Folder(tmp_path)
    text = "".join(metrics(role, tls=folder.settings, folder=tmp_path) for role in (MASTER, WORKER))
    shown = re.findall(r"^# TYPE (crawler_\w+)", text, re.MULTILINE)
    shown = {name for name in shown if not name.endswith("_created")}
    assert set(re.findall(r"`(crawler_\w+)", TEXT)) == shown


def limits():
    """Queue → limit, as a master shows them."""
    shown = metrics(MASTER)
    pairs = re.findall(r'^crawler_queue_limit\{queue="([^"]+)"\} (.+)$', shown, re.MULTILINE)
    return {name: float(limit) for name, limit in pairs}


def metrics(role, **more):
    """All that a node of that role shows, not started yet: it has not read the tokens."""
    tracing = TracingSettings("http://127.0.0.1:1")
    node = Node(role, Settings(api=ApiSettings(open=True), tracing=tracing, **more))
    shown = node.app.test_client().get("/metrics").text
    node.stop()
    return shown
