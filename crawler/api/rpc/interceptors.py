"""The interceptors of every gRPC call: they log and time it, and turn errors into statuses.

They also handle streams: those of the health service and of reflection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import grpc
from grpc_interceptor import ServerInterceptor

from crawler.api.failures import explain
from crawler.api.rpc.metadata import ANSWERED, RETRY_AFTER
from crawler.api.rpc.places import REPORTS
from crawler.api.sparse import Sparing
from crawler.clock import Clock
from crawler.logs import get_logger
from crawler.metrics import Metrics

log = get_logger(__name__)

_QUIET = ("/grpc.", REPORTS)
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
        except grpc.RpcError:  # the client has gone: nobody is left to get the status
            raise
        except Exception as error:
            _abort(context, error, method_name)
        return _guarded(response, context, method_name) if _is_stream(response) else response


class CallInterceptor(ServerInterceptor):
    """Logs and times every call, and knows the open streams."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._clock = clock
        self._failures = Sparing(clock)
        self._streams: set[grpc.ServicerContext] = set()
        self.begun = 0
        """How many calls have begun."""
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
        self.begun += 1
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
        if code not in ("OK", "RESOURCE_EXHAUSTED") and not self._failures.allows():
            quiet = True
        note = log.debug if quiet else log.info
        note("rpc", method=method_name, code=code, seconds=round(seconds, 6), peer=context.peer())


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
