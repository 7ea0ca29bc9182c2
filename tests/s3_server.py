"""A server of S3 on this machine, in a process of its own, and what the client libraries need."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager

import requests

from crawler.local.ports import free_ports
from tests.waiting import PATIENCE_S, eventually


class S3Server:
    """moto's server; what it has ends with it."""

    def __init__(self, port):
        self._at = f"127.0.0.1:{port}"

    def url(self, bucket):
        """The URL of a new bucket."""
        requests.put(f"http://{self._at}/{bucket}", timeout=30).raise_for_status()
        query = f"endpoint_override={self._at}&scheme=http&region=us-east-1"
        return f"s3://key:open-sesame@{bucket}/items?{query}"

    @property
    def answers(self):
        try:
            return requests.get(f"http://{self._at}/", timeout=30).ok
        except requests.ConnectionError:
            return False


@contextmanager
def s3_server():
    """A server that runs."""
    [port] = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        server = S3Server(port)
        eventually(lambda: server.answers, 3 * PATIENCE_S, what="the server of S3 answers")
        yield server
    finally:
        process.kill()
        process.wait()
