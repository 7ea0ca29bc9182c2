"""What callers reach of a node: its HTTP and its gRPC server, and what stands before them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from flask import Flask

from crawler.api.bounded_crawls import LabelsOf, no_labels
from crawler.api.health import Health
from crawler.api.http.app import build_app
from crawler.api.http.server import HttpServer
from crawler.api.limiter import RateLimiter
from crawler.api.rpc.crawls_client import CrawlsClient
from crawler.api.rpc.peers import Peers
from crawler.api.rpc.server import RpcServer
from crawler.api.rpc.servicer import Servicer
from crawler.api.rpc.worker import CrawlsServicer
from crawler.api.service import Crawls, Items, Logs, Service
from crawler.api.tls import Certificates
from crawler.api.trail import Trail
from crawler.audit_log import audit_log
from crawler.clock import Clock
from crawler.coordination.keys import Keys
from crawler.coordination.store import Store
from crawler.debugging.looks import Looks
from crawler.errors import ConfigError
from crawler.metrics import Metrics
from crawler.model.spiders import OfferedSpider
from crawler.node.access import Access
from crawler.node.measures import measure_certificates
from crawler.node.membership.addresses import Listen, advertised
from crawler.settings.sections import Settings
from crawler.supervision import Supervisor
from crawler.tracing.tracing import Tracing

if TYPE_CHECKING:
    from crawler.dashboard.dashboard import Dashboard
    from crawler.settings.tls_files import Pem


class Faces:
    """The two servers of a node, its doors, its audit and its certificates."""

    def __init__(
        self,
        settings: Settings,
        http_at: Listen,
        grpc_at: Listen,
        *,
        store: Store,
        keys: Keys,
        clock: Clock,
        health: Health,
        metrics: Metrics,
        tracing: Tracing,
    ) -> None:
        """Nothing listens before `serve` and `listen`. Raises ConfigError."""
        self._settings = settings.api
        self._http_at = http_at
        self._grpc_at = grpc_at
        self._clock = clock
        self._health = health
        self._metrics = metrics
        self._tracing = tracing
        self._limiter = RateLimiter(settings.api, metrics)
        self.trail = Trail(
            audit_log(settings.logs.audit, settings.folder, metrics),
            clock,
            settings.logs.audit_adds,
        )
        is_local = http_at.is_local and grpc_at.is_local
        self.access = Access(store, keys, settings.api, clock, is_local, self.trail.refused)
        self.certificates = Certificates.of(settings, clock)
        """Those of the servers; None without TLS."""
        self.looks = Looks(clock)
        self._servicer: Servicer | CrawlsServicer
        self._rpc: RpcServer
        self._http: HttpServer | None = None
        self._pages: Dashboard | None = None
        self.app: Flask
        """The WSGI application: a master's API, or the statistics of a worker's crawls; health and
        metrics."""
        if self.certificates is not None:
            measure_certificates(metrics, self.certificates)

    @property
    def address(self) -> str:
        """The host:port at which others reach the gRPC server, after `listen`."""
        return advertised(self._grpc_at, self._rpc.port)

    @property
    def http_address(self) -> str:
        """The host:port at which others reach the HTTP server; empty if there is none."""
        return advertised(self._http_at, self._http.port) if self._http else ""

    def peers(self, *, forwards: bool) -> Peers:
        """Return the clients of other nodes: they show the secret of nodes, and verify names."""
        return Peers(
            forwards=forwards, token=self.access.secret, pem=self._pem, tracing=self._tracing
        )

    def _pem(self) -> Pem | None:
        """Return what calls of other nodes need for TLS, as it is now."""
        return self.certificates.pem if self.certificates else None

    def serve_master(self, service: Service) -> None:
        """Build the servers of a master."""
        if self._settings.dashboard:
            self._pages = self._build_pages(service)
        self._servicer = Servicer(service, self._settings, self._worker)
        self._build(service)

    def _build_pages(self, service: Service) -> Dashboard:
        from crawler.dashboard.dashboard import Dashboard  # a worker needs no templates

        access = self.access
        secrets = access.secret, access.former_secret
        return Dashboard(
            service, access.doors, secrets, self._settings, self._clock, reach=self._worker
        )

    def _worker(self, address: str) -> CrawlsClient:
        """Return a client of a worker: it shows the secret of nodes."""
        return CrawlsClient(address, token=self.access.secret, pem=self._pem)

    def serve_worker(
        self,
        crawls: Crawls,
        labels_of: LabelsOf,
        logs: Logs,
        items: Items,
        offered: Callable[[], Sequence[OfferedSpider]],
    ) -> None:
        """Build the servers of a worker."""
        self._servicer = CrawlsServicer(crawls, labels_of, logs, items, offered)
        self._build(None, crawls, labels_of)

    def _build(
        self, service: Service | None, crawls: Crawls | None = None, labels_of: LabelsOf = no_labels
    ) -> None:
        self.app = build_app(
            service,
            self._health,
            self._metrics,
            self._settings,
            limiter=self._limiter,
            doors=self.access.doors,
            clock=self._clock,
            crawls=crawls,
            labels_of=labels_of,
            looks=self.looks,
            reach=self._worker,
            pages=self._pages,
            tracing=self._tracing,
        )
        self._rpc = self._build_rpc()

    def _build_rpc(self) -> RpcServer:
        return RpcServer(
            f"{self._grpc_at.host}:{self._grpc_at.port}",
            self._health,
            self._metrics,
            self._settings,
            servicer=self._servicer,
            limiter=self._limiter,
            doors=self.access.doors,
            certificates=self.certificates,
            tracing=self._tracing,
        )

    def serve_http(self) -> None:
        """Build an HTTP server of its own; gunicorn is another one."""
        self._http = HttpServer(*self._http_at, self.app, self._metrics, self.certificates)

    def listen(self, *, several: bool) -> None:
        """Let both servers listen. With `several`, another process of this configuration may have
        the gRPC port: then any free one will do, because the registration announces it. Raises
        ConfigError; then neither listens."""
        self.trail.check()
        self._listen_rpc(several)
        if self._http is None:
            return
        try:
            self._http.start()
        except ConfigError:
            self._rpc.stop(0.0)
            raise

    def _listen_rpc(self, several: bool) -> None:
        try:
            self._rpc.start()
        except ConfigError:
            if not several:
                raise
            self._grpc_at = Listen(self._grpc_at.host, 0)
            self._rpc = self._build_rpc()
            self._rpc.start()

    def start(self, supervisor: Supervisor) -> None:
        """Follow who may come in, and which certificates there are; write the audit."""
        self.trail.start(supervisor)
        self.access.start(supervisor)
        if self.certificates is not None:
            self.certificates.start(supervisor, self.address)

    def last_steps(self, patience_s: Callable[[], float]) -> list[Callable[[], object]]:
        """Return the steps that close them, in order: calls under way have that many seconds."""
        http = self._http
        return [
            lambda: http.stop(patience_s()) if http is not None else None,
            lambda: self._rpc.stop(patience_s()),
            self.trail.close,
        ]
