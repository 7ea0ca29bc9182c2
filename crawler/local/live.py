"""Fills the cluster of `crawler up --demo` with crawls that go on, and with what can go wrong."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from crawler import demo
from crawler.api.backend import Call
from crawler.api.rpc.client import Client
from crawler.api.rpc.project_calls import Upload
from crawler.demo.versions import PROJECT, VERSIONS
from crawler.deploy.packing import packed
from crawler.local.cluster import LocalCluster
from crawler.local.demo import FOLDERS, NO_TLS
from crawler.model.alerts import AlertRule, When
from crawler.model.records import Spec
from crawler.model.schedules import ScheduleWish

LIVE_FILE = Path(demo.__file__).with_name("live.yaml")
"""The settings and tasks of the live demo."""

PAUSED = "watch-travel"
"""The task that is paused."""

WAITS_S = 5.0
"""So long a task waits until the demo's alert tells of it."""

CALL = Call(20.0)


def environment_in(folder: Path) -> Mapping[str, str]:
    """Return the environment with which nodes write into that folder alone."""
    return {variable: str(folder / name) for variable, name in FOLDERS.items()} | NO_TLS


def fill(
    cluster: LocalCluster, token: str, tasks: Sequence[Spec], say: Callable[[str], None]
) -> None:
    """Deploy two versions of a project, add the tasks, and set schedules and rules of alerts.
    Raises CrawlerError."""
    client = Client(cluster.masters[0].grpc, token=lambda: token)
    try:
        for rule in _rules():
            client.set_alert_rule(rule, CALL)
        for files in VERSIONS:
            _deploy(client, files, say)
        for task in tasks:
            client.submit(task, CALL)
        client.pause(PAUSED, CALL)
        for schedule in _schedules(tasks):
            client.add_schedule(schedule, CALL)
    finally:
        client.close()


def _deploy(client: Client, files: Mapping[str, str], say: Callable[[str], None]) -> None:
    with tempfile.TemporaryDirectory(prefix="crawler-demo-") as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text)
        with packed(Path(folder), PROJECT, say) as bundle:
            client.upload(Upload(PROJECT, bundle.path), CALL)


def _schedules(tasks: Sequence[Spec]) -> Sequence[ScheduleWish]:
    """Return a schedule that fires all the time, and one that fires in the morning."""
    start = tasks[0].parameters["start_urls"][0].replace("/fiction/", "/children/")
    survey = {"start_urls": [start], "settings": {"delay_s": 0.02, "max_pages": 60}}
    return (
        ScheduleWish(
            "every-minute", "@every 1m", Spec("survey", "books", survey, {"team": "research"})
        ),
        ScheduleWish(
            "every-morning", "0 6 * * *", Spec("report", "books", survey, {"team": "prices"})
        ),
    )


def _rules() -> Sequence[AlertRule]:
    return (
        AlertRule("nobody-suits", When.WAITING, for_s=WAITS_S),
        AlertRule("a-run-failed", When.FAILED, {"team": "prices"}),
    )
