"""Ctrl-C at `crawler run`: all crawls end in order, and no item that was yielded is lost."""

import json
import os
import re
import signal
import subprocess

import pytest

from crawler.cli.base import STOPPED_TEXT
from tests import forks
from tests.integration.lab import ROOT
from tests.site import Site
from tests.waiting import PATIENCE_S, eventually

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

SPIDERS = """
import time
from crawler import Spider

class Chain(Spider):
    name = "chain"
    start_urls = ["{url}/chain/1"]

    def parse(self, response):
        yield {{"url": response.url}}
        yield from response.follow_all(css="a")

class Busy(Spider):
    name = "busy"
    start_urls = ["{url}/page/busy"]

    def parse(self, response):
        for number in range(7):
            yield {{"number": number}}
        open("{folder}/computing", "w").close()
        {body}
"""
CONFIG = {
    "spiders": ["both.py"],
    "crawl": {"delay_s": 0, "host_concurrency": 8, "robots": False},
    "tasks": [{"name": "one", "spider": "chain"}, {"name": "two", "spider": "busy"}],
}


@pytest.fixture(scope="module")
def site():
    with Site() as site:
        yield site


@pytest.fixture
def started(tmp_path, site):
    """Starts the tasks, with the last step of the callback of one of them."""
    processes = []

    def start(body, output):
        url = site.url("")
        (tmp_path / "both.py").write_text(SPIDERS.format(url=url, folder=tmp_path, body=body))
        (tmp_path / "config.yaml").write_text(json.dumps(CONFIG))
        command = ["run", "-c", "config.yaml", "-o", output]
        environment = {**ENVIRONMENT, "CRAWLER_NODE_HUB_LIMIT_S": "60"}
        processes.append(forks.Piped(command, environment, tmp_path))
        return processes[-1]

    yield start
    for process in processes:
        with process:
            process.kill()


def true_process(arguments, env, cwd):
    """As forks.Piped, but it begins with Python and all imports."""
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([*forks.COMMAND, *arguments], env=env, cwd=cwd, text=True, **pipes)


@pytest.mark.parametrize(
    ("command", "waits", "ends"),
    [  # each two of them together
        ("run", "time.sleep(60)", signal.SIGINT),
        ("run", "while True: pass", signal.SIGTERM),
        ("runspider slow.py", "time.sleep(60)", signal.SIGTERM),
        ("runspider slow.py", "while True: pass", signal.SIGINT),
    ],
)
def test_while_spiders_are_loaded_a_signal_ends_all_with_one_line(tmp_path, command, waits, ends):
    """Those that sleep are true processes."""
    (tmp_path / "slow.py").write_text(f"import time\nopen('begun', 'w').close()\n{waits}\n")
    tasks = [{"name": "a", "spider": "a"}]
    (tmp_path / "config.yaml").write_text(json.dumps({"spiders": ["slow.py"], "tasks": tasks}))
    start = true_process if "sleep" in waits else forks.Piped
    with start(command.split(), ENVIRONMENT, tmp_path) as process:
        try:
            eventually((tmp_path / "begun").exists)
            process.send_signal(ends)
            _, err = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == 130
    assert err.split("\n") == ["", STOPPED_TEXT, ""]


def written(path):
    """The items of a file, or of all files of a folder."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def told_items(out):
    return int(re.search(r"^total +\d+ +(\d+)", out, re.M)[1])


def test_the_first_ctrl_c_ends_all_tasks_in_order_and_writes_their_items(started, site, tmp_path):
    seen = len(site.hits)
    process = started("pass", "items")
    done = tmp_path / "items" / "two.jsonl"
    eventually(lambda: done.exists() and len(done.read_text().splitlines()) == 7)
    eventually(lambda: len(site.hits) > seen + 20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    first, last = err.splitlines()
    assert first.startswith("crawler: stopping: it lets the running callback end")
    assert "Press Ctrl-C again to cut the callback off" in first
    assert last == (
        "crawler: 1 of 2 tasks were stopped before they were done; their items so far are written;"
        " the same command begins them anew, and with --resume FOLDER later ones go on"
    )
    assert re.findall(r"^(one|two) .* (\w+)$", out, re.M) == [("one", "stopped"), ("two", "done")]
    assert "failed" not in out
    items = written(tmp_path / "items")
    assert len(items) == told_items(out) >= 20
    assert [item["number"] for item in items if "number" in item] == [*range(7)]


@pytest.mark.parametrize(
    ("body", "output"), [("while True: pass", "items"), ("time.sleep(60)", "items.jsonl")]
)
def test_a_second_ctrl_c_cuts_callbacks_off_and_keeps_the_items(started, tmp_path, body, output):
    process = started(body, output)
    eventually((tmp_path / "computing").exists)
    process.send_signal(signal.SIGINT)
    assert "Press Ctrl-C again" in process.stderr.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    cut, last = err.splitlines()
    assert cut == "crawler: cutting the callback off, and writing the items"
    assert "2 of 2 tasks were stopped" in last
    items = written(tmp_path / output)
    assert [item["number"] for item in items if "number" in item] == [*range(7)]
    assert len(items) == told_items(out)


def test_a_third_ctrl_c_ends_the_process_at_once(started, tmp_path):
    """Also a callback that holds on. It says when it is in its loop."""
    stubborn = """
        while True:
            try:
                open("stubborn", "w").close()
                while True: pass
            except BaseException:
                pass
    """
    process = started(stubborn, "items")
    eventually((tmp_path / "stubborn").exists)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (130, "")
