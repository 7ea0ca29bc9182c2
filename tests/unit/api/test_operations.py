"""docs/operations.md names the queues there are, with their limits."""

import re
from pathlib import Path

from crawler.coordination.keys import MASTER
from crawler.node.node import Node
from crawler.settings import Settings

TEXT = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()


def test_every_queue_of_a_master_is_described_with_its_limit():
    described = dict(re.findall(r"^\| `([a-z ]+)` \| [^|]*?\(([\d,]+)[;)]", TEXT, re.MULTILINE))
    assert {name: float(limit.replace(",", "")) for name, limit in described.items()} == limits()


def limits():
    """Queue → limit, as a master shows them."""
    node = Node(MASTER, Settings())
    found = node.app.test_client().get("/metrics").text
    node.stop()
    pairs = re.findall(r'^crawler_queue_limit\{queue="([^"]+)"\} (.+)$', found, re.MULTILINE)
    return {name: float(limit) for name, limit in pairs}
