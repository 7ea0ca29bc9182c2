"""Calls between nodes without sockets: what the gRPC client and server do to a request.

A request is handled in a greenlet of the master that it reaches, and answered to the caller in its
own. It may be handled twice, or be handled and its answer lost; a caller whose master dies under
the call does not know what became of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gevent.event import Event

from crawler.api.backend import UNTOLD, Backend, Call
from crawler.errors import CrawlerError, OutcomeUnknown, Unavailable
from crawler.model.records import Query, Report, Resource, Spec, State, WorkerLoad
from crawler.model.run_statistics import RunStatistics
from tests.model.engine import RunRecord
from tests.model.nodes import Host, Process
from tests.model.timeline import NodeClock, Timeline


@dataclass
class Faults:
    """What happens to the next requests, one of each."""

    duplicates: int = 0
    lost_answers: int = 0

    def take(self, name: str) -> bool:
        left: int = getattr(self, name)
        setattr(self, name, max(0, left - 1))
        return left > 0


@dataclass(eq=False)
class Exchange:
    """A request that is being handled."""

    server: Process
    done: Event = field(default_factory=Event)
    result: Any = None
    error: CrawlerError | None = None

    def fail(self, error: CrawlerError) -> None:
        if not self.done.is_set():
            self.error = error
            self.done.set()


class Transport:
    """The network between the nodes."""

    def __init__(
        self, timeline: Timeline, hosts: Sequence[Host], runs: Sequence[RunRecord]
    ) -> None:
        self._timeline = timeline
        self._runs = runs
        self._hosts = {host.address: host for host in hosts}
        self._under_way: dict[Exchange, None] = {}
        self.faults = Faults()

    def backend(
        self, clock: NodeClock, address: str, forwards: bool, source: Host | None
    ) -> Backend:
        return RemoteBackend(self, clock, address, forwards, source)

    def told(self, node_id: str, report: Report) -> Report:
        """What a worker says of a run whose process is gone: it has no processes here, and would
        call it failed."""
        run = (report.name, report.id, report.epoch, node_id)
        for each in self._runs:
            is_it = (each.task, each.id, each.epoch, each.node) == run
            if is_it and each.charged is not None and report.state is State.FAILED:
                return dataclasses.replace(report, interrupted=True, charged=each.charged)
        return report

    def died(self, process: Process) -> None:
        """Whoever waits for an answer of that process gets none."""
        for exchange in [e for e in self._under_way if e.server is process]:
            exchange.fail(OutcomeUnknown(f"{process} went away during the call"))

    def ask(
        self,
        clock: NodeClock,
        address: str,
        source: Host | None,
        call: Call,
        handle: Callable[[Backend, Call], Any],
    ) -> Any:
        host = self._hosts.get(address)
        if host is None or host.process is None or host.deaf or (source and source.deaf):
            raise Unavailable(f"cannot reach {address}")
        exchange = self._begin(host.process, call, handle)
        if self.faults.take("duplicates"):
            self._begin(host.process, call, handle)
        lost = self.faults.take("lost_answers")
        if not clock.wait(exchange.done, call.timeout_s):
            raise OutcomeUnknown(f"{address} did not answer in time")
        if lost:
            raise OutcomeUnknown("the connection broke under the call")
        if exchange.error is not None:
            raise exchange.error
        return exchange.result

    def _begin(
        self, server: Process, call: Call, handle: Callable[[Backend, Call], Any]
    ) -> Exchange:
        exchange = Exchange(server)
        self._under_way[exchange] = None

        def serve() -> None:
            try:
                server.clock.running.wait()
                exchange.result = handle(server.role.service.backend(call), call)
            except CrawlerError as error:
                exchange.error = error
            except Exception as error:
                server.failure = f"a request broke: {error!r}"
                exchange.error = OutcomeUnknown(server.failure)
            finally:
                self._under_way.pop(exchange, None)
                timer.cancel()
            exchange.done.set()

        greenlet = server.spawn(serve)
        timer = self._timeline.call_in(call.timeout_s, lambda: greenlet.kill(block=False))
        return exchange


class RemoteBackend:
    """A master as seen from elsewhere."""

    def __init__(
        self,
        transport: Transport,
        clock: NodeClock,
        address: str,
        forwards: bool,
        source: Host | None,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._address = address
        self._forwards = forwards
        self._source = source

    def submit(self, spec: Spec, call: Call, wait_for_spider: bool = False) -> Any:
        return self._ask(call, lambda backend, call: backend.submit(spec, call, wait_for_spider))

    def update(
        self, spec: Spec, call: Call, restart: bool | None = None, wait_for_spider: bool = False
    ) -> Resource:
        return self._ask(
            call, lambda backend, call: backend.update(spec, call, restart, wait_for_spider)
        )

    def delete(self, name: str, call: Call) -> None:
        self._ask(call, lambda backend, call: backend.delete(name, call))

    def pause(self, name: str, call: Call) -> Resource:
        return self._ask(call, lambda backend, call: backend.pause(name, call))

    def resume(self, name: str, call: Call) -> Resource:
        return self._ask(call, lambda backend, call: backend.resume(name, call))

    def stop(self, name: str, call: Call) -> Resource:
        return self._ask(call, lambda backend, call: backend.stop(name, call))

    def run(self, name: str, call: Call) -> Resource:
        return self._ask(call, lambda backend, call: backend.run(name, call))

    def get(self, name: str, call: Call) -> Resource:
        return self._ask(call, lambda backend, call: backend.get(name, call))

    def list(self, query: Query, call: Call) -> Any:
        return self._ask(call, lambda backend, call: backend.list(query, call))

    def nodes(self, call: Call) -> Any:
        return self._ask(call, lambda backend, call: backend.nodes(call))

    def report(
        self,
        node_id: str,
        reports: Sequence[Report],
        call: Call,
        load: WorkerLoad = UNTOLD,
        over: Sequence[RunStatistics] = (),
    ) -> Sequence[str]:
        reports = [self._transport.told(node_id, each) for each in reports]
        return self._ask(
            call, lambda backend, call: backend.report(node_id, reports, call, load, over)
        )

    def _ask(self, call: Call, handle: Callable[[Backend, Call], Any]) -> Any:
        onward = Call(call.timeout_s, forwarded=self._forwards)
        return self._transport.ask(self._clock, self._address, self._source, onward, handle)


class ModelPeers:
    """Stands in for `crawler.api.rpc.peers.Peers` in one process."""

    def __init__(self, transport: Transport, process: Process, forwards: bool) -> None:
        self._transport = transport
        self._process = process
        self._forwards = forwards

    def backend(self, address: str) -> Backend:
        return self._transport.backend(
            self._process.clock, address, self._forwards, self._process.host
        )

    def trouble(self, address: str) -> str:
        return ""

    def close(self) -> None:
        """There is nothing to close."""
