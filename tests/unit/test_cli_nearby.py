"""How a command reaches a worker of its own machine."""

import pytest

from crawler.cli.nearby import nearest
from crawler.node.membership.addresses import first_ipv4


def test_a_node_of_this_machine_is_asked_by_loopback():
    assert nearest(f"{first_ipv4()}:9090") == "127.0.0.1:9090"
    assert nearest("127.0.0.1:7") == "127.0.0.1:7"


@pytest.mark.parametrize(
    "address", ["192.0.2.7:9090", "worker-1:9090", "[::1]:9090", "localhost:9090", ":9090", ""]
)
def test_any_other_is_asked_where_it_says(address):
    assert nearest(address) == address
