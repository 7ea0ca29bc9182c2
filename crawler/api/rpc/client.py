"""A master as seen from elsewhere: the `Backend` of a leader, over gRPC.

Followers pass requests on with it, workers report with it, the command line asks with it. What the
other side raised is raised here, with the same code and message. Whatever happens a call ends
shortly after its deadline, and a write whose fate is not known is never called a failure. A master
that does not answer is left alone for a moment (`bulkhead.py`): then calls fail at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import gevent
import grpc
from google.protobuf import empty_pb2

from crawler.api.rpc import codec, policy_codec
from crawler.api.rpc.bulkhead import FULL, MAX_IN_FLIGHT, OPEN, Bulkhead, Permit
from crawler.api.rpc.metadata import ANSWERED, FORWARDED, RETRY_AFTER
from crawler.api.service import UNTOLD, Call, NodeLoad, Page
from crawler.clock import SystemClock
from crawler.errors import (
    AlreadyExists,
    Conflict,
    CrawlerError,
    InvalidArgument,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    Rejected,
    Unavailable,
)
from crawler.model.policy import Explanation, PolicyChange, SchedulerView
from crawler.model.records import Leader, Query, Report, Resource, Spec, WorkerLoad
from crawler.proto import crawler_pb2 as pb
from crawler.proto import crawler_pb2_grpc as pb_grpc
from crawler.supervision import run_aside

if TYPE_CHECKING:
    from prometheus_client import Counter

    from crawler.metrics import Metrics

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

_UNANSWERED = ("UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED", "UNKNOWN", "INTERNAL")
"""What gRPC itself says of a connection; others of its codes, the other side's server decided."""


class Client:
    """The backend of the master at `address`, over one channel; connects with the first call.

    `forwards` marks its requests as passed on by a master, so that they are not passed on again.
    """

    def __init__(
        self, address: str, *, forwards: bool = False, gate: Bulkhead | None = None
    ) -> None:
        """The gate is the way to that master; without one it has its own."""
        self.gate = gate or Bulkhead(address, SystemClock())
        self._address = address
        self._metadata = ((FORWARDED, "1"),) if forwards else ()
        self._closed = False

    @cached_property
    def _channel(self) -> Any:
        """Made with the first call: Python 3.12 cannot end in peace with one that was not used."""
        return grpc.insecure_channel(self._address, options=_OPTIONS)

    @cached_property
    def _stub(self) -> Any:
        return pb_grpc.CrawlerMasterStub(self._channel)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close the channel; calls in flight end with an error."""
        self._closed = True
        if "_channel" in self.__dict__:
            run_aside(f"close {self._address}", self._channel.close)

    def add(self, spec: Spec, call: Call) -> Resource:
        """Store a new resource and place it."""
        answer = self._ask("AddResource", codec.spec_message(spec), call)
        return codec.placement_from(answer, spec)

    def update(self, spec: Spec, call: Call) -> Resource:
        """Change a resource's specification."""
        answer = self._ask("UpdateResource", codec.spec_message(spec), call)
        return codec.resource_from(answer)

    def delete(self, name: str, call: Call) -> None:
        """Remove a resource."""
        self._ask("DeleteResource", pb.ResourceSpec(name=name), call)

    def get(self, name: str, call: Call) -> Resource:
        """One resource."""
        answer = self._read("GetResource", pb.ResourceSpec(name=name), call)
        return codec.resource_from(answer)

    def list(self, query: Query, call: Call) -> Page:
        """The resources that match, a page at a time."""
        answer = self._read("ListResources", codec.query_message(query), call)
        return codec.page_from(answer)

    def nodes(self, call: Call) -> Sequence[NodeLoad]:
        """The live nodes."""
        answer = self._read("ListNodes", pb.ListNodesRequest(), call)
        return [codec.node_from(node) for node in answer.nodes]

    def leader(self, call: Call) -> Leader:
        """The leader, as that master observes it. Raises Unavailable while there is none."""
        answer = self._read("GetLeader", empty_pb2.Empty(), call)
        return Leader(answer.id, answer.address)

    def scheduler(self, call: Call) -> SchedulerView:
        """How tasks are placed."""
        return policy_codec.scheduler_from(self._read("GetScheduler", empty_pb2.Empty(), call))

    def update_scheduler(self, change: PolicyChange, call: Call) -> SchedulerView:
        """Place by another policy from the next pass on."""
        return policy_codec.scheduler_from(
            self._ask("UpdateScheduler", policy_codec.change_message(change), call)
        )

    def reset_scheduler(self, call: Call) -> SchedulerView:
        """Go back to the policy of the leader's settings."""
        return policy_codec.scheduler_from(self._ask("ResetScheduler", empty_pb2.Empty(), call))

    def explain(self, name: str, call: Call) -> Explanation:
        """Why a task is where it is, or waits."""
        answer = self._read("ExplainResource", pb.ResourceSpec(name=name), call)
        return policy_codec.explanation_from(answer)

    def drain(self, node: str, call: Call) -> NodeLoad:
        """Move everything off a worker, and keep it off."""
        return codec.node_from(self._ask("DrainNode", pb.NodeRequest(node=node), call))

    def uncordon(self, node: str, call: Call) -> NodeLoad:
        """Let a worker take tasks again."""
        return codec.node_from(self._ask("UncordonNode", pb.NodeRequest(node=node), call))

    def report(
        self, node_id: str, reports: Sequence[Report], call: Call, load: WorkerLoad = UNTOLD
    ) -> Sequence[str]:
        """Report on a worker's load and runs; the names of those that are no longer current."""
        refused: list[str] = []
        for start in range(0, len(reports) or 1, MAX_REPORTS):
            request = codec.reports_message(node_id, reports[start : start + MAX_REPORTS], load)
            refused += self._ask("ReportRuns", request, call).refused
        return refused

    def _read(self, method: str, request: Any, call: Call) -> Any:
        try:
            return self._ask(method, request, call)
        except OutcomeUnknown as error:
            raise Unavailable(str(error)) from None

    def _ask(self, method: str, request: Any, call: Call) -> Any:
        if call.timeout_s <= 0:
            raise Unavailable(f"the deadline passed before {self._address} was asked")
        with self.gate.passage(call.timeout_s) as passage:
            return self._send(method, request, call, passage)

    def _send(self, method: str, request: Any, call: Call, passage: Permit) -> Any:
        if self._closed:
            raise Unavailable(f"the channel to {self._address} was closed")
        limit = gevent.Timeout(passage.left_s + MARGIN_S)
        try:
            with limit:
                send = getattr(self._stub, method)
                answer = send(request, timeout=passage.left_s, metadata=self._metadata)
        except gevent.Timeout as expired:
            if expired is not limit:
                raise
            passage.silent()
            raise OutcomeUnknown(self._silent(call)) from None
        except grpc.RpcError as error:
            _judge(error, passage)
            raise self._translate(error, call) from None
        except ValueError:
            raise Unavailable(f"the channel to {self._address} was closed") from None
        passage.answered()
        return answer

    def _translate(self, error: Any, call: Call) -> CrawlerError:
        """The error behind a status; the code stays as the other side said."""
        code, message = error.code().name, error.details() or ""
        if code in _REJECTED:
            return _coded(_REJECTED[code](message), code)
        if code == "RESOURCE_EXHAUSTED":
            too_large = "larger than max" in message
            return _coded(Rejected(message) if too_large else Overloaded(message), code)
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

    A follower `forwards`; a worker speaks for itself, and may be passed on once. Each address has a
    gate of its own, so that a new leader is asked whatever the old one did.
    """

    def __init__(self, *, forwards: bool = True) -> None:
        self._forwards = forwards
        self._clients: OrderedDict[str, Client] = OrderedDict()
        self._refused: dict[str, Counter] = {}

    def measure(self, metrics: Metrics) -> None:
        """Show the way to the leader: the calls under way, and whether it answers."""
        metrics.queue(
            "calls to the leader", MAX_IN_FLIGHT, lambda: self._of_latest(lambda g: g.in_flight)
        )
        self._refused[FULL] = metrics.refusals("calls to the leader")
        self._refused[OPEN] = metrics.counter(
            "crawler_breaker_refused",
            "Requests refused at once because the leader does not answer.",
        )
        metrics.gauge_of(
            "crawler_breaker_state",
            "Circuit breaker on the way to the leader: 0 closed, 1 half open, 2 open.",
            lambda: self._of_latest(lambda g: g.breaker.state.value),
        )

    def backend(self, address: str) -> Client:
        """The client to the master at that address."""
        if address not in self._clients:
            gate = Bulkhead(address, SystemClock(), self._count)
            self._clients[address] = Client(address, forwards=self._forwards, gate=gate)
        self._clients.move_to_end(address)
        if len(self._clients) > MAX_PEERS:
            self._clients.popitem(last=False)[1].close()
        return self._clients[address]

    def close(self) -> None:
        """Close every channel."""
        while self._clients:
            self._clients.popitem()[1].close()

    def _count(self, reason: str) -> None:
        if reason in self._refused:
            self._refused[reason].inc()

    def _of_latest(self, read: Callable[[Bulkhead], int]) -> int:
        """Of the leader that was asked last; 0 when none was."""
        return read(next(reversed(self._clients.values())).gate) if self._clients else 0


def _judge(error: Any, passage: Permit) -> None:
    """What an error says of the peer. A refusal is an answer like any other."""
    code = error.code().name
    if ANSWERED in _trailer(error) or code not in _UNANSWERED:
        passage.answered()
    elif code == "DEADLINE_EXCEEDED":
        passage.silent()
    else:
        passage.broken()


def _coded(error: CrawlerError, code: str) -> CrawlerError:
    error.code = code
    return error


def _trailer(error: Any) -> dict[str, Any]:
    return dict(error.trailing_metadata() or ())
