"""What commands say of refusals and of silent masters, in the words of their options."""

import os
from urllib.parse import urlsplit

import pytest

from crawler.cli import local, token_file
from crawler.errors import InvalidArgument
from crawler.model.access import Role
from crawler.node.master.token_requests import FIRST
from tests.integration.test_cli_token import folder, master, run  # noqa: F401
from tests.site import Site
from tests.unit.api.fakes import FakeBackend

LACKS = "offered by no live worker; {}"


def test_a_wrong_token_is_named_by_where_it_came_from(run, master, monkeypatch):  # noqa: F811
    text = FakeBackend().known.make(Role.ADMIN)
    monkeypatch.setenv("CRAWLER_TOKEN", text)
    assert run("tasks")[2].startswith("crawler: the token of CRAWLER_TOKEN is not valid here")
    said = run("tasks", "--token", text)[2]
    assert said.startswith("crawler: the token of --token is not valid here")


def test_a_token_of_too_small_a_role_is_named_too(run, master, monkeypatch):  # noqa: F811
    token_file.keep([master.address], master.known.make(Role.VIEWER))
    said = run("add", "x")[2]
    assert "has the role viewer" in said
    assert said.endswith(f"; the token is that of {token_file.path()}\n")
    monkeypatch.setenv("CRAWLER_TOKEN", master.known.make(Role.VIEWER))
    assert run("add", "x")[2].endswith("; the token is that of CRAWLER_TOKEN\n")


def test_who_needs_a_token_is_told_where_one_is_kept(run, master):  # noqa: F811
    master.known.make(Role.ADMIN)
    assert "tokens.json" not in run("tasks")[2]
    token_file.keep(["localhost:1"], "one")
    assert run("tasks")[2].endswith(
        f". {token_file.path()} keeps one for 127.0.0.1:1; if that is this cluster, ask there: "
        "--master HOST:PORT\n"
    )


def test_an_address_of_http_is_told(run):  # noqa: F811
    with Site() as site:
        address = urlsplit(site.url("/", "127.0.0.1")).netloc
        status, _, said = run("nodes", "--master", address)
    told = f"{address} speaks HTTP; commands need the gRPC address, usually port 9091"
    assert (status, said) == (1, f"crawler: {told}\n")


@pytest.fixture
def refuses(master, monkeypatch):  # noqa: F811
    """Let the master refuse what it is asked, with these words."""

    def refuse(method, words):
        def refused(*given, **more):
            raise InvalidArgument(words)

        monkeypatch.setattr(FakeBackend, method, refused)

    return refuse


def test_a_spider_that_nobody_offers_is_told_with_the_option(run, refuses):  # noqa: F811
    refuses("submit", LACKS.format('add "wait_for_spider": true'))
    told = f"crawler: {LACKS.format('give --wait-for-spider')}\n"
    assert run("add", "x", "--spider", "absent")[2] == told


def test_the_first_token_does_not_expire_and_the_option_is_named(run, refuses):  # noqa: F811
    refuses("create_token", "expiration_time: " + FIRST.format(1790, "0, for never"))
    said = run("token", "create", "--role", "admin", "--expires", "30d")[2]
    assert said.startswith("crawler: --expires 30d is not allowed for the first token of a cluster")
    assert said.endswith("; leave out --expires\n")


@pytest.mark.parametrize("command", ["demo", "up"])
@pytest.mark.parametrize(
    ("given", "left"), [(["CA"], []), (["CA", "CERT"], []), (["CA", "CERT", "KEY"],) * 2]
)
def test_files_of_commands_for_tls_do_not_count_for_a_cluster_that_starts(
    run,  # noqa: F811
    monkeypatch,
    tmp_path,
    command,
    given,
    left,
):
    monkeypatch.setenv("BOOKSHOP_URL", "")  # the command sets it
    for name in ("CA", "CERT", "KEY"):
        monkeypatch.delenv(f"CRAWLER_TLS_{name}", raising=False)
    for name in given:
        monkeypatch.setenv(f"CRAWLER_TLS_{name}", "absent.pem")
    (tmp_path / "broken.yaml").write_text("logs: {level: loud}")  # so it starts nothing
    assert run(command, "-c", str(tmp_path / "broken.yaml"))[0] == 2
    assert [name for name in given if f"CRAWLER_TLS_{name}" in os.environ] == left


def test_a_command_that_starts_nothing_says_of_nothing_that_it_is_stopped(run, monkeypatch):  # noqa: F811
    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(token_file, "forget", interrupted)
    assert run("token", "forget") == (130, [], "\ncrawler: interrupted\n")


def test_who_lists_runs_hears_that_there_are_none_yet(run, master):  # noqa: F811
    assert run("runs")[1] == ["no runs yet"]
    assert run("runs", "--state", "failed")[1] == ["no failed runs"]


def test_up_tells_that_commands_use_another_token(capsys, monkeypatch):
    monkeypatch.setattr(local, "_suggestion", lambda *given: "")
    cluster = Cluster()
    local._tell_token(cluster, "", "text", "file")
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("CRAWLER_TOKEN", "other")
    local._tell_token(cluster, "", "text", "file")
    said = capsys.readouterr().err
    assert said == "crawler: CRAWLER_TOKEN is set, and commands use that instead\n"


class Cluster:
    """A local cluster of one master."""

    class Node:
        grpc = "127.0.0.1:9091"

    masters, ca = [Node], ""
