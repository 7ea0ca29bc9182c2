"""The first token of a local cluster: that of an admin, for whoever started it."""

from __future__ import annotations

from crawler.api.backend import Call
from crawler.api.rpc.client import Client
from crawler.clock import Clock, SystemClock
from crawler.errors import Unavailable
from crawler.local.cluster import READY_S, ClusterFailed, LocalCluster, LocalNode, get_json
from crawler.model.access import Role, TokenWish

NAME = "local"
LOOK_S = 0.05
READS = {"master": "/crawler/leader", "worker": "/processes"}
"""What a node answers to holders of tokens alone, by its role."""


def make_token(cluster: LocalCluster, clock: Clock | None = None) -> str:
    """Make the token of an admin, and wait until it counts on each node: a node learns of it by its
    watch of etcd. Raises CrawlerError."""
    clock = clock or SystemClock()
    client = Client(cluster.masters[0].grpc, pem=lambda: cluster.pem)
    try:
        token = client.create_token(TokenWish(NAME, Role.ADMIN), Call(READY_S)).text
    finally:
        client.close()
    deadline_s = clock.monotonic() + READY_S
    for node in cluster.nodes:
        while not _admits(cluster, node, token):
            cluster.check()
            if clock.monotonic() > deadline_s:
                raise ClusterFailed(f"{node.title} has not learned of a token in {READY_S:.0f} s")
            clock.sleep(LOOK_S)
    return token


def _admits(cluster: LocalCluster, node: LocalNode, token: str) -> bool:
    url = f"{cluster.scheme}://{node.http}{READS[node.role]}"
    try:
        get_json(url, context=cluster.context, token=token)
    except Unavailable:
        return False
    return True
