"""Reads the messages of gRPC calls, after the calls were admitted.

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

from crawler.api.limiter import address_of
from crawler.api.rpc.places import Kinds
from crawler.errors import InvalidArgument, Unavailable

MESSAGE_S = 5.0
"""How many seconds after the beginning of a call its message must have arrived."""

Parse = Callable[[bytes], Any]


class ReadingInterceptor(grpc.ServerInterceptor):  # type: ignore[misc]
    """Reads and parses what clients send. It stands behind all that admit calls."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        """Return the handler that reads bytes, for one that expects messages."""
        handler = continuation(details)
        if handler is None:
            return None
        arriving = self._kinds.of(details.method, details.invocation_metadata or ()).arriving
        parse: Parse = handler.request_deserializer
        behaviour = (
            (handler.unary_unary or handler.unary_stream)
            if not handler.request_streaming
            else (handler.stream_unary or handler.stream_stream)
        )

        def call(raw: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            give_back = arriving.take(address_of(context.peer()))
            try:
                first = _parsed(parse, _next(raw))
            finally:
                give_back()
            if not handler.request_streaming:
                return behaviour(first, context)
            return behaviour(_all(first, raw, parse), context)

        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        made: grpc.RpcMethodHandler = make(call, None, handler.response_serializer)
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
