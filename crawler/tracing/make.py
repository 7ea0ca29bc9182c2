"""Makes the tracing that the settings and the variables of OpenTelemetry ask for."""

from __future__ import annotations

import os
from collections.abc import Mapping

from crawler.clock import Clock
from crawler.errors import ConfigError
from crawler.logs import get_logger
from crawler.metrics import Metrics
from crawler.settings.tracing import TracingSettings
from crawler.tracing.tracing import NoTracing, Tracing

log = get_logger(__name__)

PATH = "/v1/traces"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SPOKEN = "http/protobuf"

MISSING = (
    "{}: traces need the library opentelemetry-sdk; install it: pip install "
    "'distributed-crawler[tracing]', or -r requirements-tracing.txt in a clone"
)
OTHER_PROTOCOL = (
    "there are no traces: they are sent as http/protobuf alone; set {} to that, and the endpoint "
    "to the port of the collector for it, usually 4318"
)


def tracing_of(
    settings: TracingSettings,
    role: str,
    metrics: Metrics,
    clock: Clock,
    environment: Mapping[str, str] = os.environ,
) -> Tracing:
    """Return the tracing of a node with that role. Raises ConfigError if the settings ask for
    traces and the library is not installed, or if a variable of it cannot be used."""
    given = next((name for name in ENDPOINTS if environment.get(name)), "")
    if not (settings.endpoint or given) or _is_off(environment):
        return NoTracing()
    protocol = next((name for name in PROTOCOLS if environment.get(name)), "")
    if not settings.endpoint and protocol and environment[protocol] != SPOKEN:
        log.warning(OTHER_PROTOCOL.format(protocol), given=environment[protocol])
        return NoTracing()
    try:
        from crawler.tracing.otlp import OtlpTracing
    except ImportError:
        if settings.endpoint:
            raise ConfigError(MISSING.format("tracing.endpoint")) from None
        log.warning(MISSING.format(given))  # it may be meant for other programs
        return NoTracing()
    try:
        return OtlpTracing(_whole(settings.endpoint), role, metrics, clock)
    except (ValueError, RuntimeError, ImportError) as error:  # of what a variable says
        raise ConfigError(
            f"{given or 'tracing.endpoint'}: traces cannot be made: {error}; correct the variable, "
            "or set OTEL_SDK_DISABLED=true"
        ) from None


def _is_off(environment: Mapping[str, str]) -> bool:
    """Whether the variables of OpenTelemetry ask for no traces."""
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return disabled or environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"


def _whole(endpoint: str) -> str:
    """Return an endpoint with the path for traces."""
    if not endpoint or endpoint.endswith(PATH):
        return endpoint
    return endpoint.rstrip("/") + PATH
