"""The section `deploy` of the settings."""

from __future__ import annotations

from dataclasses import dataclass

from crawler.deploy.bundle import LARGEST_MB, MOST_MB
from crawler.settings.setting import setting

HISTORY = "history"
"""The value of `deploy.url` that means the database of the history."""


@dataclass(frozen=True, repr=False)
class DeploySettings:
    """Where deployed projects are kept, and how large they may be; see docs/deploy.md."""

    folder: str = setting(
        "bundles",
        "Folder in which a master keeps the bundles of projects, and a worker unpacks them.",
    )
    url: str = setting(
        "",
        "Where all masters keep the bundles besides: history for the database of the history, or "
        "a URL of pyarrow.fs, as s3://bucket/path, gs://bucket/path or file:///path. If empty, the "
        "masters have them from each other alone.",
        secret=True,
    )
    max_mb: int = setting(
        MOST_MB,
        "Largest bundle. Unpacked it may be ten times as large.",
        unit="MB",
        least=1,
        most=LARGEST_MB,
    )
    keep: int = setting(
        10,
        "How many versions of a project are kept. Those that tasks use are kept beside them.",
        least=1,
        most=100,
    )
