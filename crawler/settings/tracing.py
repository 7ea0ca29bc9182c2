"""The section `tracing` of the settings."""

from __future__ import annotations

from dataclasses import dataclass

from crawler.settings import forms
from crawler.settings.setting import setting


@dataclass(frozen=True, repr=False)
class TracingSettings:
    """Where the traces of requests and runs go; see docs/tracing.md."""

    endpoint: str = setting(
        "",
        "Collector of OpenTelemetry that takes traces over HTTP, as http://collector:4318. If "
        "empty, the variable OTEL_EXPORTER_OTLP_ENDPOINT names it; without that there are no "
        "traces.",
        form=forms.COLLECTOR,
    )
