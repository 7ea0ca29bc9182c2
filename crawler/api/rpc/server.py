"""The gRPC server: the service of crawler.proto, health and reflection.

A worker runs the same server with its own service (worker.py). The server limits the number of
calls, their size, and the rate of each client. It answers an excess call with RESOURCE_EXHAUSTED,
and does not carry it out.
"""

from __future__ import annotations

import resource
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health as grpc_health
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from crawler.api.doors import Doors, protected
from crawler.api.health import Health
from crawler.api.limiter import RateLimiter
from crawler.api.rpc import tls, worker
from crawler.api.rpc.access import AccessInterceptor
from crawler.api.rpc.admission import AdmissionInterceptor
from crawler.api.rpc.interceptors import CallInterceptor, ErrorInterceptor
from crawler.api.rpc.places import Kinds
from crawler.api.rpc.servicer import Servicer
from crawler.api.rpc.tracing import TraceInterceptor
from crawler.api.rpc.worker import CrawlsServicer
from crawler.api.tls import Certificates
from crawler.clock import SystemClock
from crawler.errors import ConfigError
from crawler.logs import get_logger
from crawler.metrics import Metrics
from crawler.proto import crawler_pb2_grpc as pb_grpc
from crawler.settings.sections import ApiSettings
from crawler.tracing.tracing import NoTracing, Tracing

log = get_logger(__name__)

SERVICE_NAME = "CrawlerMaster"
MAX_CALLS = 256
"""How many calls may be in flight. Under gevent each costs a greenlet, not a thread."""

SPARE_CALLS = 64
"""How many further calls gRPC accepts, so that the server can say why it refuses them."""

HANDSHAKE_S = 10
"""How many seconds a new connection has before its first message."""

IDLE_S = 60
"""After so many seconds without a call, a connection is closed. Its client connects again with its
next call, and loses none."""

AGE_S = 3600
LAST_CALLS_S = 300
"""A connection that is AGE_S seconds old takes no further call, and its calls have LAST_CALLS_S
seconds. Its client connects again, and loses none but a stream: nobody has a place for ever."""

MOST_CALLS_OF_CONNECTION = 512
"""How many calls of one connection are read. Its client keeps the others until then."""

METADATA_BYTES = 8192
"""The most bytes of metadata of a call. By its own default gRPC refuses what is larger now and
then, up to twice as much."""

ALIVE_S = 60
ANSWER_S = 20
"""A client is pinged each ALIVE_S seconds, and has ANSWER_S to answer. One that vanished in the
middle of a call, as a watch that never ends, gives no other sign."""

OTHER_FILES = 768
"""The file descriptors that gRPC's connections leave to all else: the HTTP server takes 512."""

TURN_S = 0.01
QUIET_TURNS = 10
"""A master stops after so many pauses of TURN_S seconds in which no call began. gRPC cancels the
calls that it has received and not yet handed over, and their callers could not tell whether
anything was done. A count of turns holds on a busy machine too, where a time alone would not."""


class RpcServer:
    """A gRPC server at one address. Its servicer makes it that of a master or of a worker.

    `address` is host:port or, for all interfaces, :port. Port 0 chooses a free one. A stopped
    server may be started again. HTTP uses the same limiter and the same doors.
    """

    def __init__(
        self,
        address: str,
        health: Health,
        metrics: Metrics,
        settings: ApiSettings,
        *,
        servicer: Servicer | CrawlsServicer | None = None,
        limiter: RateLimiter | None = None,
        doors: Doors | None = None,
        certificates: Certificates | None = None,
        max_calls: int = MAX_CALLS,
        tracing: Tracing | None = None,
    ) -> None:
        self.port = 0
        """The port at which it listens, after `start`."""
        self._address = address
        self._health = health
        self._settings = settings
        self._servicer = servicer
        self._certificates = certificates
        self._clock = SystemClock()
        self._calls = CallInterceptor(metrics, self._clock)
        kinds = Kinds(metrics, max_calls)
        self._most_calls = kinds.total + SPARE_CALLS
        tracing = tracing or NoTracing()
        self._interceptors: list[grpc.ServerInterceptor] = [
            self._calls,
            ErrorInterceptor(),
            AccessInterceptor(doors or protected(self._clock)),
            AdmissionInterceptor(kinds, limiter or RateLimiter(settings, metrics)),
            *([TraceInterceptor(tracing)] if tracing.is_on else []),
        ]
        self._server: grpc.Server | None = None
        self._workers: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Listen. Raises ConfigError if the address cannot be used."""
        workers = ThreadPoolExecutor(self._most_calls, thread_name_prefix="grpc")
        server = self._build(workers)
        try:
            self.port = self._bind(server)
        except ConfigError:
            server.stop(None).wait(1.0)
            workers.shutdown(wait=False)
            raise
        server.start()
        self._server, self._workers = server, workers
        log.info("grpc listens", address=self._address, port=self.port)

    def stop(self, deadline_s: float) -> None:
        """Let the calls to a master begin that have arrived, for at most `deadline_s` seconds. Then
        accept no more, end the streams, and give the other calls `deadline_s` seconds to end."""
        server, workers = self._server, self._workers
        self._server = self._workers = None
        if server is None or workers is None:
            return
        if isinstance(self._servicer, Servicer):
            self._await_quiet(deadline_s)
        ended = server.stop(deadline_s)
        self._calls.cancel_streams()
        ended.wait(deadline_s + 1.0)
        workers.shutdown(wait=False, cancel_futures=True)

    def _await_quiet(self, most_s: float) -> None:
        until_s, quiet = self._clock.monotonic() + most_s, 0
        while quiet < QUIET_TURNS and self._clock.monotonic() < until_s:
            before = self._calls.begun
            self._clock.sleep(TURN_S)
            quiet = quiet + 1 if self._calls.begun == before else 0

    def _build(self, workers: ThreadPoolExecutor) -> grpc.Server:
        server = grpc.server(
            workers,
            interceptors=self._interceptors,
            options=_options(self._settings),
            maximum_concurrent_rpcs=self._most_calls,
        )
        names = [grpc_health.SERVICE_NAME, reflection.SERVICE_NAME]
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, server)
        if isinstance(self._servicer, Servicer):
            pb_grpc.add_CrawlerMasterServicer_to_server(  # type: ignore[no-untyped-call]
                self._servicer, server
            )
            names.append(SERVICE_NAME)
        if isinstance(self._servicer, CrawlsServicer):
            pb_grpc.add_CrawlerWorkerServicer_to_server(  # type: ignore[no-untyped-call]
                self._servicer, server
            )
            names.append(worker.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        return server

    def _bind(self, server: grpc.Server) -> int:
        listen = f"[::]{self._address}" if self._address.startswith(":") else self._address
        try:
            if self._certificates is None:
                return int(server.add_insecure_port(listen))
            credentials = tls.server_credentials(self._certificates)
            return int(server.add_secure_port(listen, credentials))
        except RuntimeError:
            raise ConfigError(
                f"node.grpc: cannot listen at {self._address}: the port is taken, or the host is "
                "no address of this machine; choose another with --grpc or node.grpc"
            ) from None


def most_connections() -> int:
    """Return how many connections the server takes. It closes further ones at once, so that a
    client cannot take the descriptors that the node needs for HTTP and etcd."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files < 0:
        return 2**31 - 1
    return max(1, files // 4, files - OTHER_FILES)


def _options(settings: ApiSettings) -> list[tuple[str, int]]:
    return [
        # Two servers that share a port would each get half of the calls; an error is better.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.max_request_bytes),
        # Answers have no limit: a page of large tasks may be large.
        ("grpc.max_send_message_length", -1),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_S * 1000),
        ("grpc.max_connection_age_ms", int(AGE_S * 1000)),
        ("grpc.max_connection_age_grace_ms", int(LAST_CALLS_S * 1000)),
        ("grpc.max_concurrent_streams", MOST_CALLS_OF_CONNECTION),
        ("grpc.max_metadata_size", METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES),
        ("grpc.max_connection_idle_ms", IDLE_S * 1000),
        ("grpc.keepalive_time_ms", int(ALIVE_S * 1000)),
        # gRPC's own keepalive_timeout_ms has no effect while this is longer (60 s, measured).
        ("grpc.http2.ping_timeout_ms", int(ANSWER_S * 1000)),
        ("grpc.max_allowed_incoming_connections", most_connections()),
        # Accept clients that ping an idle connection. By default gRPC disconnects them after three
        # pings.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
