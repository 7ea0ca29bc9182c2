"""A master as seen from elsewhere: the `Desk` of a leader, over gRPC.

Followers pass requests on with it, workers report with it, the command line asks with it. What the
other side raised is raised here, with the same code and message. Whatever happens a call ends
shortly after its deadline, and a write whose fate is not known is never called a failure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import gevent
import grpc
from google.protobuf import empty_pb2

from crawler.api import codec
from crawler.api.metadata import ANSWERED, FORWARDED, RETRY_AFTER
from crawler.api.service import Call, NodeLoad, Page
from crawler.errors import (
    AlreadyExists,
    Conflict,
    CrawlerError,
    InvalidArgument,
    NotFound,
    OutcomeUnknown,
    Rejected,
    Unavailable,
)
from crawler.proto import crawler_pb2 as pb
from crawler.proto import crawler_pb2_grpc as pb_grpc
from crawler.records import Leader, Query, Report, Resource, Spec

MARGIN_S = 0.5
"""How long after its deadline a call is given up from outside: with the native thread pool stuck,
gRPC does not keep its own deadlines."""

MAX_REPORTS = 500
"""Most reports in one message, to stay well below the size a server takes."""

MAX_PEERS = 8
"""Most channels kept open; there are not that many masters."""

_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", 64 * 2**20),
    # Peers are reached directly, whatever http_proxy says in the environment.
    ("grpc.enable_http_proxy", 0),
    # Connections are not shared between channels, so that closing one closes its connection.
    ("grpc.use_local_subchannel_pool", 1),
]

_REJECTED: dict[str, type[Rejected]] = {
    "INVALID_ARGUMENT": InvalidArgument,
    "NOT_FOUND": NotFound,
    "ALREADY_EXISTS": AlreadyExists,
    "ABORTED": Conflict,
    "FAILED_PRECONDITION": Rejected,
    "OUT_OF_RANGE": Rejected,
    "PERMISSION_DENIED": Rejected,
    "UNAUTHENTICATED": Rejected,
    "UNIMPLEMENTED": Rejected,
}


class Client:
    """The desk of the master at `address`, over one channel; connects with the first call.

    `forwards` marks its requests as passed on by a master, so that they are not passed on again.
    """

    def __init__(self, address: str, *, forwards: bool = False) -> None:
        self._address = address
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._stub = pb_grpc.CrawlerMasterStub(self._channel)  # type: ignore[no-untyped-call]
        self._metadata = ((FORWARDED, "1"),) if forwards else ()

    def close(self) -> None:
        """Close the channel; calls in flight end with an error."""
        self._channel.close()

    def add(self, spec: Spec, call: Call) -> Resource:
        """Store a new resource and place it."""
        answer = self._ask(self._stub.AddResource, codec.spec_message(spec), call)
        return codec.placement_from(answer, spec)

    def update(self, spec: Spec, call: Call) -> Resource:
        """Change a resource's specification."""
        answer = self._ask(self._stub.UpdateResource, codec.spec_message(spec), call)
        return codec.resource_from(answer)

    def delete(self, name: str, call: Call) -> None:
        """Remove a resource."""
        self._ask(self._stub.DeleteResource, pb.ResourceSpec(name=name), call)

    def get(self, name: str, call: Call) -> Resource:
        """One resource."""
        answer = self._read(self._stub.GetResource, pb.ResourceSpec(name=name), call)
        return codec.resource_from(answer)

    def list(self, query: Query, call: Call) -> Page:
        """The resources that match, a page at a time."""
        answer = self._read(self._stub.ListResources, codec.query_message(query), call)
        return codec.page_from(answer)

    def nodes(self, call: Call) -> Sequence[NodeLoad]:
        """The live nodes."""
        answer = self._read(self._stub.ListNodes, pb.ListNodesRequest(), call)
        return [codec.node_from(node) for node in answer.nodes]

    def leader(self, call: Call) -> Leader:
        """The leader, as that master observes it. Raises Unavailable while there is none."""
        answer = self._read(self._stub.GetLeader, empty_pb2.Empty(), call)
        return Leader(answer.id, answer.address)

    def report(self, node_id: str, reports: Sequence[Report], call: Call) -> Sequence[str]:
        """Report on a worker's runs; the names of those that are no longer current."""
        refused: list[str] = []
        for start in range(0, len(reports), MAX_REPORTS):
            request = codec.reports_message(node_id, reports[start : start + MAX_REPORTS])
            refused += self._ask(self._stub.ReportRuns, request, call).refused
        return refused

    def _read(self, method: Any, request: Any, call: Call) -> Any:
        try:
            return self._ask(method, request, call)
        except OutcomeUnknown as error:
            raise Unavailable(str(error)) from None

    def _ask(self, method: Any, request: Any, call: Call) -> Any:
        if call.timeout_s <= 0:
            raise Unavailable(f"no time was left to ask {self._address}")
        limit = gevent.Timeout(call.timeout_s + MARGIN_S)
        try:
            with limit:
                return method(request, timeout=call.timeout_s, metadata=self._metadata)
        except gevent.Timeout as expired:
            if expired is not limit:
                raise
            raise OutcomeUnknown(self._silent(call)) from None
        except grpc.RpcError as error:
            raise self._translate(error, call) from None
        except ValueError:
            raise Unavailable(f"the channel to {self._address} was closed") from None

    def _translate(self, error: Any, call: Call) -> CrawlerError:
        """The error behind a status; the code stays as the other side said."""
        code, message = error.code().name, error.details() or ""
        if code in _REJECTED:
            return _coded(_REJECTED[code](message), code)
        if code == "RESOURCE_EXHAUSTED":
            too_large = "larger than max" in message
            return _coded(Rejected(message) if too_large else Unavailable(message), code)
        if code == "DEADLINE_EXCEEDED":
            return OutcomeUnknown(message if ANSWERED in _trailer(error) else self._silent(call))
        if code in ("UNAVAILABLE", "CANCELLED"):
            return self._disconnected(_trailer(error), message)
        return _coded(CrawlerError(message), code)

    def _disconnected(self, trailer: dict[str, Any], message: str) -> CrawlerError:
        if ANSWERED in trailer:
            return Unavailable(message, float(trailer.get(RETRY_AFTER, 1.0)))
        if message.startswith(("failed to connect", "DNS resolution failed")):
            return Unavailable(f"cannot reach {self._address}: {message}")
        # The connection broke under the call, and nobody knows how far it had come.
        return OutcomeUnknown(f"{self._address} went away during the call: {message}")

    def _silent(self, call: Call) -> str:
        return f"{self._address} did not answer within {call.timeout_s:.3g} s"


class Peers:
    """The clients of a node to whoever leads: one channel per address, the latest few kept.

    A follower `forwards`; a worker speaks for itself, and may be passed on once.
    """

    def __init__(self, *, forwards: bool = True) -> None:
        self._forwards = forwards
        self._clients: OrderedDict[str, Client] = OrderedDict()

    def desk(self, address: str) -> Client:
        """The client to the master at that address."""
        if address not in self._clients:
            self._clients[address] = Client(address, forwards=self._forwards)
        self._clients.move_to_end(address)
        if len(self._clients) > MAX_PEERS:
            self._clients.popitem(last=False)[1].close()
        return self._clients[address]

    def close(self) -> None:
        """Close every channel."""
        while self._clients:
            self._clients.popitem()[1].close()


def _coded(error: CrawlerError, code: str) -> CrawlerError:
    error.code = code
    return error


def _trailer(error: Any) -> dict[str, Any]:
    return dict(error.trailing_metadata() or ())
