"""Opens the sockets that libcurl needs.

Every connection is judged by its address before it is made.
"""

from __future__ import annotations

from typing import Any

import pycurl
from gevent import monkey

from crawler.engine.download.address_policy import AddressPolicy
from crawler.engine.download.descriptors import NO_SOCKET
from crawler.logs import get_logger

log = get_logger(__name__)

_Socket = monkey.get_original("socket", "socket")
_close = monkey.get_original("os", "close")
"""gevent's own would keep each socket open until its loop turns, though nothing waits for it."""


class _Descriptor:
    """A socket for libcurl, which copies its descriptor. The original is closed at once."""

    __slots__ = ("_number",)

    def __init__(self, address: Any) -> None:
        self._number = -1
        opened = _Socket(address.family, address.socktype, address.protocol)
        self._number = opened.detach()

    def fileno(self) -> int:
        """The descriptor's number."""
        return self._number

    def __del__(self) -> None:
        if self._number >= 0:
            _close(self._number)


class Opener:
    """Opens the sockets of one handle, if the policy allows their addresses."""

    __slots__ = ("_policy", "exhausted", "fault", "opened", "refused", "trusted")

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self.trusted = False
        """Whether the handle connects to a proxy that the operator named."""
        self.refused = ""
        """The address that was refused last since `begin`."""
        self.opened = False
        """Whether a socket was opened since `begin`."""
        self.fault = ""
        """The defect of this program that kept a socket from being opened since `begin`."""
        self.exhausted = False
        """Whether this process had no descriptor left since `begin`."""

    def begin(self) -> None:
        """Reset the state for a new request."""
        self.refused = self.fault = ""
        self.opened = self.exhausted = False

    def __call__(self, purpose: int, address: Any) -> Any:
        """Open a socket. libcurl calls this with a resolved address before it connects."""
        try:
            return self._open(address)
        except Exception as error:  # pycurl would only print it
            log.error("fetcher fault", exc_info=error)
            self.fault = f"{type(error).__name__}: {error}"
            return pycurl.SOCKET_BAD

    def _open(self, address: Any) -> Any:
        target = str(address.addr[0])
        if not self.trusted and not self._policy.allows(target):
            self.refused = target
            return pycurl.SOCKET_BAD
        try:
            socket = _Descriptor(address)
        except OSError as error:  # or this machine lacks the protocol
            self.exhausted = error.errno in NO_SOCKET
            return pycurl.SOCKET_BAD
        self.opened = True
        return socket
