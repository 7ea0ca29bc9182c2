"""The interceptors of every gRPC call: they log, time and admit it, and turn errors into statuses.

They also handle streams: those of the health service and of reflection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import grpc
from grpc_interceptor import ServerInterceptor

from crawler.api.failures import explain
from crawler.api.limiter import RateLimiter, address_of
from crawler.api.rpc.metadata import ANSWERED, FORWARDED, RETRY_AFTER
from crawler.clock import Clock
from crawler.errors import Overloaded
from crawler.logs import get_logger
from crawler.metrics import Metrics

log = get_logger(__name__)

_API = ("/CrawlerMaster/", "/CrawlerWorker/")
_REPORTS = "/CrawlerMaster/ReportRuns"

_QUIET = ("/grpc.", _REPORTS)
"""Calls that arrive all the time. They are logged only for developers, unless they fail."""

Method = Callable[[Any, grpc.ServicerContext], Any]


class ErrorInterceptor(ServerInterceptor):
    """Turns every error into a status. A traceback goes only into the log."""

    def intercept(
        self,
        method: Method,
        request_or_iterator: Any,
        context: grpc.ServicerContext,
        method_name: str,
    ) -> Any:
        """Call the method. If it raises, end the call with a status."""
        try:
            response = method(request_or_iterator, context)
        except Exception as error:
            _abort(context, error, method_name)
        return _guarded(response, context, method_name) if _is_stream(response) else response


class CallInterceptor(ServerInterceptor):
    """Logs and times every call, and knows the open streams."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._clock = clock
        self._streams: set[grpc.ServicerContext] = set()
        self._seconds = metrics.histogram(
            "crawler_rpc_seconds", "Duration of gRPC calls, by method and status.", "method", "code"
        )

    def intercept(
        self,
        method: Method,
        request_or_iterator: Any,
        context: grpc.ServicerContext,
        method_name: str,
    ) -> Any:
        """Call the method. A stream counts until it ends."""
        started_s = self._clock.monotonic()
        streams = False
        try:
            response = method(request_or_iterator, context)
            streams = _is_stream(response)
        finally:
            if not streams:
                self._finish(context, method_name, started_s)
        return self._relay(response, context, method_name, started_s) if streams else response

    def cancel_streams(self) -> None:
        """Cancel the open streams, because a health watch never ends by itself."""
        for context in list(self._streams):
            context.cancel()

    def _relay(
        self,
        responses: Iterator[Any],
        context: grpc.ServicerContext,
        method_name: str,
        started_s: float,
    ) -> Iterator[Any]:
        self._streams.add(context)
        try:
            yield from responses
        finally:
            self._streams.discard(context)
            self._finish(context, method_name, started_s)

    def _finish(self, context: grpc.ServicerContext, method_name: str, started_s: float) -> None:
        seconds = self._clock.monotonic() - started_s
        code = _code(context)
        self._seconds.labels(method_name, code).observe(seconds)
        # A refused flood must not become a flood of log lines: /metrics counts it.
        quiet = code == "RESOURCE_EXHAUSTED" or (method_name.startswith(_QUIET) and code == "OK")
        note = log.debug if quiet else log.info
        note("rpc", method=method_name, code=code, seconds=round(seconds, 6), peer=context.peer())


class AdmissionInterceptor(ServerInterceptor):
    """Refuses excess calls: of one client by its rate, of all clients by their number in flight.

    Health checks and reflection always pass. Reports of workers pass too: their number depends on
    the number of workers, and greedy clients must not block them.
    """

    def __init__(self, limiter: RateLimiter, metrics: Metrics, max_calls: int) -> None:
        self._limiter = limiter
        self._max_calls = max_calls
        self._under_way = 0
        metrics.queue("grpc calls", max_calls, lambda: self._under_way)
        self._refused = metrics.refusals("grpc calls")

    def intercept(
        self,
        method: Method,
        request_or_iterator: Any,
        context: grpc.ServicerContext,
        method_name: str,
    ) -> Any:
        """Call the method. Raises Overloaded if it exceeds a limit."""
        if not method_name.startswith(_API):
            return method(request_or_iterator, context)
        if method_name != _REPORTS:
            self._admit(context)
        self._under_way += 1
        try:
            return method(request_or_iterator, context)
        finally:
            self._under_way -= 1

    def _admit(self, context: grpc.ServicerContext) -> None:
        # The forwarding master has counted the request, by the address of its client.
        if all(key != FORWARDED for key, _ in context.invocation_metadata()):
            self._limiter.admit("grpc", address_of(context.peer()))
        if self._under_way >= self._max_calls:
            self._refused.inc()
            raise Overloaded(
                f"{self._under_way} gRPC calls are in flight, the most that this server takes; "
                "try again in a second"
            )


def _abort(context: grpc.ServicerContext, error: Exception, method_name: str) -> NoReturn:
    failure = explain(error, method_name)
    metadata = [(ANSWERED, "1")]
    if failure.retry_after_s is not None:
        metadata.append((RETRY_AFTER, f"{failure.retry_after_s:g}"))
    context.set_trailing_metadata(tuple(metadata))
    context.abort(grpc.StatusCode[failure.code], failure.message)
    raise AssertionError("abort returned")


def _guarded(
    responses: Iterator[Any], context: grpc.ServicerContext, method_name: str
) -> Iterator[Any]:
    try:
        yield from responses
    except Exception as error:
        # gRPC raises it when the client has gone: nobody is left to get the status.
        if isinstance(error, grpc.RpcError):
            raise
        _abort(context, error, method_name)


def _is_stream(response: Any) -> bool:
    return hasattr(response, "__next__")


def _code(context: grpc.ServicerContext) -> str:
    code = context.code()
    if code is None:
        return "OK" if context.is_active() else "CANCELLED"
    return str(code.name)
