"""Admits gRPC calls: by the rate of their client and by their places; then reads their messages.

gRPC itself reads a message before any interceptor sees the call. Then a client needs no permission
to make the server parse what is no message, which costs a traceback each time, and a call whose
message never arrives is never seen at all. Therefore every method is registered as one that reads a
stream of bytes. On the wire that is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gevent
import grpc
from google.protobuf.message import DecodeError

from crawler.api.limiter import RateLimiter, address_of
from crawler.api.rpc.places import Kind, Kinds
from crawler.errors import InvalidArgument, Unavailable

MESSAGE_S = 5.0
"""How many seconds after the beginning of a call its message must have arrived."""

Parse = Callable[[bytes], Any]


class AdmissionInterceptor(grpc.ServerInterceptor):  # type: ignore[misc]
    """Refuses excess calls, and reads and parses the messages of the others.

    Health checks, reflection and reports of workers have no rate: their places limit them.
    """

    def __init__(self, kinds: Kinds, limiter: RateLimiter) -> None:
        self._kinds = kinds
        self._limiter = limiter

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """Return a handler of bytes in the place of one that expects messages."""
        handler = continuation(details)
        if handler is None:
            return None
        kind = self._kinds.of(details.method, details.invocation_metadata or ())
        # The forwarding master has counted its calls, by the addresses of their clients.
        counts = kind is self._kinds.calls

        def call(raw: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            client = address_of(context.peer())
            if counts:
                self._limiter.admit("grpc", client)
            return _carry_out(handler, kind, client, raw, context)

        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        made: grpc.RpcMethodHandler = make(call, None, handler.response_serializer)
        return made


def _carry_out(
    handler: grpc.RpcMethodHandler,
    kind: Kind,
    client: str,
    raw: Iterator[bytes],
    context: grpc.ServicerContext,
) -> Any:
    """Read what the client sends, and call the method in a place of its kind."""
    parse: Parse = handler.request_deserializer
    give_back = kind.arriving.take(client)
    try:
        request = _parsed(parse, _next(raw))
    finally:
        give_back()
    if handler.request_streaming:
        request = _all(request, raw, parse)
    give_back = kind.running.take(client)
    response = None
    try:
        response = _behaviour(handler)(request, context)
    finally:
        # A stream keeps its place until it ends, however it does.
        if not hasattr(response, "__next__") or not context.add_callback(give_back):
            give_back()
    return response


def _behaviour(handler: grpc.RpcMethodHandler) -> Callable[[Any, grpc.ServicerContext], Any]:
    made: Callable[[Any, grpc.ServicerContext], Any] = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    return made


def _next(raw: Iterator[bytes]) -> bytes:
    """Return the first message. Raises InvalidArgument if there is none, and Unavailable if it is
    late: then this server may be late itself."""
    limit = gevent.Timeout(MESSAGE_S)
    try:
        with limit:
            return next(raw)
    except StopIteration:
        raise InvalidArgument("the call has no message; send one") from None
    except gevent.Timeout as expired:
        if expired is not limit:
            raise
        raise Unavailable(
            f"the message of the call did not arrive within {MESSAGE_S:g} s; try again"
        ) from None


def _all(first: Any, raw: Iterator[bytes], parse: Parse) -> Iterator[Any]:
    yield first
    for each in raw:
        yield _parsed(parse, each)


def _parsed(parse: Parse, raw: bytes) -> Any:
    try:
        return parse(raw)
    except (DecodeError, ValueError) as error:
        raise InvalidArgument(
            f"the message cannot be read ({error}); send the one that the method takes"
        ) from None
