"""Whether a node makes traces: what the settings and the variables of OpenTelemetry say."""

import sys

import pytest

from crawler.clock import SystemClock
from crawler.errors import ConfigError
from crawler.metrics import Metrics
from crawler.settings.tracing import TracingSettings
from crawler.tracing.make import tracing_of

URL = "http://127.0.0.1:1"
BASE, OWN = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"


def made(endpoint="", **environment):
    return tracing_of(TracingSettings(endpoint), "master", Metrics(), SystemClock(), environment)


@pytest.mark.parametrize(
    ("endpoint", "environment", "is_on"),
    [
        ("", {}, False),
        (URL, {}, True),
        ("", {BASE: URL}, True),
        ("", {OWN: URL}, True),
        ("", {BASE: ""}, False),
        (URL, {"OTEL_SDK_DISABLED": "true"}, False),
        (URL, {"OTEL_TRACES_EXPORTER": "none"}, False),
        ("", {BASE: URL, PROTOCOL: "http/protobuf"}, True),
        ("", {BASE: URL, PROTOCOL: "grpc"}, False),
        (
            "",
            {BASE: URL, PROTOCOL: "grpc", f"{PROTOCOL[:19]}TRACES_PROTOCOL": "http/protobuf"},
            True,
        ),
        (URL, {PROTOCOL: "grpc"}, True),
    ],
)
def test_traces_are_made_if_there_is_an_endpoint(endpoint, environment, is_on):
    assert made(endpoint, **environment).is_on is is_on


def test_another_protocol_is_told(caplog):
    made(**{BASE: "http://h:4317", PROTOCOL: "grpc"})
    assert f"set {PROTOCOL} to that" in caplog.text


@pytest.fixture
def without_library(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("crawler.tracing.otlp")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)


def test_a_setting_without_the_library_is_refused(without_library):
    with pytest.raises(ConfigError, match=r"^tracing\.endpoint: .*distributed-crawler\[tracing\]"):
        made(URL)


def test_a_variable_without_the_library_may_be_meant_for_others(without_library, caplog):
    assert not made(**{BASE: URL}).is_on
    assert f"{BASE}: traces need the library" in caplog.text


def test_a_variable_that_cannot_be_used_is_refused(monkeypatch):
    monkeypatch.setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "many")
    with pytest.raises(ConfigError, match=r"OTEL_SPAN_LINK_COUNT_LIMIT .*many.* OTEL_SDK_DISABLED"):
        made(URL)


def test_nothing_is_imported_and_nothing_happens_without_an_endpoint(without_library):
    tracing = made()
    tracing.start()
    with tracing.span("x", None, "") as trace:
        assert trace == ""
    tracing.close(0)
