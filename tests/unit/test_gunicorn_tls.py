"""gunicorn serves TLS if the nodes do."""

import importlib
import sys

import pytest

from crawler import gunicorn, gunicorn_conf
from tests.tls import Folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    made = Folder(tmp_path)
    (tmp_path / "config.yaml").write_text("tls: {ca: ca.pem, cert: node.pem, key: node.key}")
    monkeypatch.setenv("CRAWLER_CONFIG", str(tmp_path / "config.yaml"))
    yield made.path
    monkeypatch.undo()
    importlib.reload(gunicorn_conf)


def test_gunicorn_is_told_the_files(folder):
    told = importlib.reload(gunicorn_conf)
    assert (told.certfile, told.keyfile) == (str(folder / "node.pem"), str(folder / "node.key"))


def test_without_tls_gunicorn_is_told_none(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    told = importlib.reload(gunicorn_conf)
    assert (told.certfile, told.keyfile) == (None, None)


def test_a_node_whose_gunicorn_would_not_speak_tls_does_not_start(
    folder, monkeypatch, capsys, former_logs
):
    monkeypatch.delitem(sys.modules, "crawler.gunicorn_conf", raising=False)
    with pytest.raises(SystemExit) as ended:
        gunicorn.start_node("worker")
    assert ended.value.code == gunicorn.BOOT_ERROR
    assert "-c python:crawler.gunicorn_conf" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "crawler.gunicorn_conf", gunicorn_conf)
