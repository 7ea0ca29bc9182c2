"""A client of several masters, of which any will do: it asks the next if one cannot answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from crawler.api.backend import Call
from crawler.api.rpc.client import Client
from crawler.errors import OutcomeUnknown, Overloaded, Retryable, Unavailable

PASSING_S = 5.0
"""A master that is silent for so many seconds is passed over, if there is another to ask."""


class AnyClient(Client):
    """A backend at the first of these addresses that can answer. It stays with that one.

    The next is asked if one does not answer, or says that nobody leads. A change whose outcome is
    unknown is not repeated.
    """

    def __init__(self, addresses: Sequence[str], kind: Callable[[str], Client] = Client) -> None:
        """`kind` makes the client of each address."""
        super().__init__(",".join(addresses))
        self._clients = {address: kind(address) for address in addresses}

    @property
    def asked(self) -> str:
        """The address of the master that answered last."""
        return next(iter(self._clients))

    def close(self) -> None:
        """Close all channels."""
        for client in self._clients.values():
            client.close()

    def _ask(self, method: str, request: Any, call: Call) -> Any:
        return self._first(method, request, call, (Unavailable, Overloaded))

    def _read(self, method: str, request: Any, call: Call) -> Any:
        return self._first(method, request, call, (Unavailable, Overloaded, OutcomeUnknown))

    def _stream(
        self, method: str, request: Any, call: Call, timeout_s: float | None
    ) -> Iterator[Any]:
        """Yield the answers of the first master that has one. Nobody else is asked after that."""
        failed: list[str] = []
        for address, client in list(self._clients.items()):
            answers = client._stream(method, request, call, timeout_s)
            try:
                first = next(answers, None)
            except Retryable as error:
                failed.append(f"{address}: {error}")
                self._clients[address] = self._clients.pop(address)
                continue
            if first is not None:
                yield first
                yield from answers
            return
        raise Unavailable("no master can answer: " + "; ".join(failed))

    def _first(
        self, method: str, request: Any, call: Call, passing: tuple[type[Retryable], ...]
    ) -> Any:
        """Return the answer of the first master that has one. `passing` are the errors after which
        the next is asked."""
        failed: list[str] = []
        brief = replace(call, timeout_s=min(PASSING_S, call.timeout_s))
        for number, (address, client) in enumerate(list(self._clients.items()), 1):
            try:
                return client._ask(method, request, call if number == len(self._clients) else brief)
            except passing as error:
                failed.append(f"{address}: {error}")
                self._clients[address] = self._clients.pop(address)  # the last to be asked now
        raise Unavailable("no master can answer: " + "; ".join(failed))
