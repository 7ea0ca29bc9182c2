"""The audit of whole nodes: files, and what the command line shows of them."""

import json

import pytest

from crawler.cli import main
from crawler.cli.base import commands
from crawler.errors import NotFound
from crawler.model.access import Role, TokenWish
from crawler.settings.sections import LogSettings
from tests.clusters import CALL, Cluster
from tests.waiting import eventually

HEADERS = ["time", "who", "role", "from", "action", "object", "detail", "outcome", "reason"]


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


def lines(tmp_path, name):
    file = tmp_path / name
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def told(records):
    """What was changed. A node that does not know the token yet refuses it."""
    words = [(each["action"], each["object"], each["outcome"]) for each in records]
    return [each for each in words if each[2] != "UNAUTHENTICATED"]


def test_two_masters_write_what_they_were_asked_and_the_leader_shows_all(
    cluster, tmp_path, monkeypatch, capsys
):
    first = cluster.master("m1", logs=LogSettings(audit=str(tmp_path / "1.jsonl")))
    second = cluster.master("m2", logs=LogSettings(audit=str(tmp_path / "2.jsonl")))
    for number, node in enumerate((first, second)):
        client = cluster.client(node)
        with pytest.raises(NotFound):
            client.delete(f"absent-{number}", CALL)
    made = client.create_token(TokenWish("ours", Role.ADMIN), CALL)
    monkeypatch.setenv("CRAWLER_TOKEN", made.text)
    deleted = [("task.delete", f"absent-{number}", "NOT_FOUND") for number in (0, 1)]
    shown = [run(monkeypatch, capsys, "audit", "--json", node=node) for node in (first, second)]
    for said in shown:
        records = map(json.loads, said.splitlines())
        assert told(records) == [*deleted, ("token.create", "ours", "done")]
    table = run(monkeypatch, capsys, "audit", "--limit", "5", node=first).splitlines()
    assert table[0].split() == [
        "time",
        "who",
        "role",
        "from",
        "action",
        "object",
        "detail",
        "outcome",
        "reason",
    ]
    assert any("token.create" in line and "ours" in line for line in table)
    cluster.stop()
    assert told(lines(tmp_path, "1.jsonl")) == deleted[:1]
    assert told(lines(tmp_path, "2.jsonl")) == [*deleted[1:], ("token.create", "ours", "done")]
    texts = [(tmp_path / name).read_text() for name in ("1.jsonl", "2.jsonl")]
    assert made.text[-43:] not in "".join([*texts, *shown])


def run(monkeypatch, capsys, *arguments, node):
    """Return what a command prints."""
    whole = commands.main
    with monkeypatch.context() as patch:
        patch.setenv("CRAWLER_MASTER", node.address)
        patch.setattr(commands, "main", lambda **more: whole(args=arguments, **more))
        eventually(lambda: main() == 0, what="the node knows the token")
    return capsys.readouterr().out
