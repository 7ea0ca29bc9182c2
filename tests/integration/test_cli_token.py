"""`crawler token`, and the file in which the command line keeps tokens."""

import io
import os
import stat

import gevent
import pytest

from crawler.cli import main, token_file
from crawler.cli.base import commands
from crawler.model.access import Role
from tests.unit.api.fakes import FakeBackend, Master, running


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("CRAWLER_TOKEN", raising=False)
    return tmp_path


@pytest.fixture
def master(monkeypatch):
    """A master that leads, and the default of each command."""
    backend = FakeBackend()
    with running(Master(backend, tokens=backend.known)) as (master,):
        master.known = backend.known
        monkeypatch.setenv("CRAWLER_MASTER", master.address)
        yield master


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command: status, output, errors."""

    def ran(*arguments):
        whole = commands.main
        with monkeypatch.context() as patch:
            patch.setattr(commands, "main", lambda **more: whole(args=arguments, **more))
            status = main()
        said = capsys.readouterr()
        return status, said.out.splitlines(), said.err

    return ran


def test_the_first_token_is_kept_and_later_commands_find_it(run, master, folder):
    status, [text], said = run("token", "create", "--role", "admin", "--name", "me")
    assert status == 0
    assert text.startswith("crawler_")
    assert "It is the first one: from now on everybody needs a token" in said
    assert f"{folder}/crawler/tokens.json keeps it for {master.address}" in said
    assert token_file.kept_for([master.address]) == text
    assert run("tasks")[0] == 0
    status, listed, _ = run("token", "list")
    assert listed[0].split() == ["ID", "NAME", "ROLE", "LABELS", "CREATED", "EXPIRES"]
    assert len(listed) == 2


def test_later_tokens_are_kept_on_demand_alone(run, master):
    first = run("token", "create", "--role", "admin")[1]
    status, [text], said = run("token", "create", "--role", "viewer")
    assert (status, "keeps it" in said) == (0, False)
    assert [token_file.kept_for([master.address])] == first
    [saved] = run("token", "create", "--role", "operator", "--save", "--replace")[1]
    assert token_file.kept_for([master.address]) == saved != text


@pytest.mark.parametrize(("option", "wanted"), [([], 0), (["--save"], 1)])
def test_a_token_that_cannot_be_kept_is_printed_all_the_same(run, master, folder, option, wanted):
    (folder / "crawler").write_text("no folder")
    status, [text], said = run("token", "create", "--role", "admin", *option)
    assert status == wanted
    assert text.startswith("crawler_")
    assert "the token cannot be kept: " in said
    assert "write it down" in said


def test_forget_drops_what_is_kept_for_the_master(run, master, folder):
    run("token", "create", "--role", "admin")
    assert run("token", "forget")[1] == [
        f"{folder}/crawler/tokens.json keeps no longer a token for {master.address}"
    ]
    assert run("token", "forget")[1] == [
        f"{folder}/crawler/tokens.json keeps no token for {master.address}"
    ]
    status, _, said = run("tasks")
    assert status == 1
    assert said.startswith("crawler: this cluster needs a token: give it with --token")


def test_a_token_that_is_revoked_is_kept_no_longer(run, master):
    text = run("token", "create", "--role", "admin")[1][0]
    other = run("token", "create", "--role", "viewer")[1][0]
    assert run("token", "revoke", other.split("_")[1])[0] == 0
    assert token_file.kept_for([master.address]) == text
    status, told, _ = run("token", "revoke", text.split("_")[1])
    assert (status, told) == (0, [f"token {text.split('_')[1]} (t) is revoked"])
    assert token_file.kept_for([master.address]) == ""
    assert run("token", "list")[1] == [
        "no tokens: nodes answer callers of their own machine alone; crawler token create makes one"
    ]


def test_a_kept_token_is_replaced_on_demand_alone_and_named(run, master, folder):
    first = run("token", "create", "--role", "admin", "--name", "me")[1][0]
    id, count = first.split("_")[1], len(master.known)
    named = f"token {id} ({master.known[id].name}, admin)"
    status, said, told = run("token", "create", "--role", "viewer", "--save")
    assert (status, said, len(master.known)) == (1, [], count)
    assert told == (
        f"crawler: {folder}/crawler/tokens.json keeps {named} for {master.address} already; "
        "to replace it, give --replace\n"
    )
    assert token_file.kept_for([master.address]) == first
    status, [text], told = run("token", "create", "--role", "viewer", "--save", "--replace")
    assert (status, token_file.kept_for([master.address])) == (0, text)
    assert f"crawler: for {master.address} it replaces {named}\n" in told


def give(monkeypatch, text):
    """Let standard input say that."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_token_from_standard_input_is_kept(run, master, monkeypatch):
    text, other = master.known.make(Role.VIEWER), master.known.make(Role.ADMIN)
    for _ in range(2):  # the same may be given again
        give(monkeypatch, f"{text}\n")
        assert run("token", "save")[0] == 0
    assert token_file.kept_for([master.address]) == text
    give(monkeypatch, other)
    status, _, told = run("token", "save")
    assert (status, "to replace it, give --replace" in told) == (1, True)
    give(monkeypatch, other)
    assert run("token", "save", "--replace")[0] == 0
    assert token_file.kept_for([master.address]) == other


def test_what_is_no_token_is_not_kept(run, master, monkeypatch):
    give(monkeypatch, "crawler_x")
    status, _, told = run("token", "save")
    assert (status, "this is no token" in told) == (1, True)
    assert token_file.kept_for([master.address]) == ""


def test_a_revoked_token_is_dropped_for_each_master_that_keeps_it(run, master):
    run("token", "create", "--role", "admin")
    text = run("token", "create", "--role", "viewer")[1][0]
    token_file.keep(["a:1", "b:1"], text)
    token_file.keep(["c:1"], "another")
    run("token", "revoke", text.split("_")[1])
    assert [token_file.kept_for([each]) for each in ("a:1", "b:1", "c:1")] == ["", "", "another"]


def test_a_token_that_has_expired_is_told_from_others(run, master):
    master.known.make(Role.ADMIN, expires_ns=60 * 10**9)
    token_file.keep([master.address], master.known.make(Role.ADMIN))
    rows = run("token", "list")[1][1:]
    assert any("  expired 1970-01-01 00:01 UTC" in row for row in rows)
    assert any("  never" in row for row in rows)


def stale(master):
    """Keep a token of another cluster, which was at that address before."""
    text = FakeBackend().known.make(Role.ADMIN)
    token_file.keep([master.address], text)
    return text


def test_a_stale_token_does_not_lock_out_of_a_cluster_that_has_none(run, master, folder):
    text = stale(master)
    status, listed, said = run("tasks")
    assert (status, len(listed)) == (0, 1)
    assert (
        f"crawler: the token that {folder}/crawler/tokens.json keeps for {master.address} is not "
        "valid there; going on without it. To drop it: crawler token forget --master "
        f"{master.address}\n"
    ) in said
    assert token_file.kept_for([master.address]) == text  # its cluster may be back tomorrow


def test_where_a_token_is_needed_a_stale_one_is_told(run, master):
    master.known.make(Role.ADMIN)
    stale(master)
    status, _, said = run("tasks")
    assert status == 1
    assert "going on without it" in said
    assert "crawler: this cluster needs a token" in said


def test_a_wrong_token_that_was_given_is_an_error(run, master):
    text = stale(master)
    status, _, said = run("tasks", "--token", text)
    assert status == 1
    assert said.startswith("crawler: the token of --token is not valid here")


def test_several_masters_are_tried_without_a_stale_token_too(run, master, monkeypatch):
    stale(master)
    monkeypatch.setenv("CRAWLER_MASTER", f"{master.address},127.0.0.1:1")
    status, _, said = run("tasks")
    assert status == 0
    assert said.count("going on without it") == 1


# -- the file -------------------------------------------------------------------------------------


def test_only_its_owner_reads_the_file(folder):
    before = os.umask(0)
    try:
        token_file.keep(["a:1"], "one")
        token_file.keep(["a:1"], "two")
    finally:
        os.umask(before)
    assert stat.S_IMODE(token_file.path().stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "crawler").stat().st_mode) == 0o700
    assert token_file.kept_for(["a:1"]) == "two"


def test_a_master_has_one_entry_by_either_name():
    token_file.keep(["localhost:9091"], "one")
    assert token_file.kept_for(["127.0.0.1:9091"]) == "one"
    assert token_file.kept_for([" localhost:9091"]) == "one"
    assert token_file.kept_for(["localhost.example:9091"]) == ""


def test_a_token_is_forgotten_only_where_it_is_still_the_one_that_is_kept():
    token_file.keep(["a:1", "b:1"], "one")
    token_file.keep(["b:1"], "two")
    assert token_file.forget(["a:1", "b:1", "c:1"], "one") == 1
    assert [token_file.kept_for([each]) for each in ("a:1", "b:1")] == ["", "two"]


def test_commands_that_keep_tokens_at_the_same_time_lose_none():
    keeping = [
        gevent.get_hub().threadpool.spawn(token_file.keep, [f"a:{n}"], "t") for n in range(9)
    ]
    gevent.joinall(keeping, raise_error=True)
    assert all(token_file.kept_for([f"a:{n}"]) for n in range(9))


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'"text"', b"\xff", b"[" * 100_000])
def test_a_file_that_is_broken_is_left_as_it_is(folder, capsys, content):
    (folder / "crawler").mkdir()
    token_file.path().write_bytes(content)
    token_file.path().chmod(0o600)
    assert token_file.kept_for(["a:1"]) == ""
    assert "it is no file of tokens; mend it" in capsys.readouterr().err
    for change in (token_file.keep, token_file.forget):
        with pytest.raises(OSError, match="it is no file of tokens"):
            change(["a:1"], "one")
    assert token_file.path().read_bytes() == content


@pytest.mark.parametrize("mode", [0o666, 0o640, 0o602])
def test_a_file_that_others_can_write_or_read_is_not_believed(run, master, capsys, mode):
    text = master.known.make(Role.ADMIN)
    token_file.keep([master.address], text)
    before = token_file.path().read_bytes()
    token_file.path().chmod(mode)
    status, _, said = run("tasks")
    assert status == 1
    assert said.count(f"is not used: its mode is {mode:o}") == 1
    assert "chmod 600" in said
    with pytest.raises(OSError, match="is not used"):
        token_file.keep([master.address], "other")
    assert token_file.path().read_bytes() == before
    token_file.path().chmod(0o600)
    assert run("tasks")[0] == 0


def test_each_master_is_shown_its_own_token_alone(run, master, monkeypatch):
    """Whoever asks dev shows it no token of prod."""
    text = master.known.make(Role.ADMIN)
    with running(Master()) as (dev,):  # nobody leads there
        shown = []
        admit = dev.doors.admit
        monkeypatch.setattr(
            dev.doors,
            "admit",
            lambda came, need: shown.append(came.authorization) or admit(came, need),
        )
        monkeypatch.setenv("CRAWLER_MASTER", f"{dev.address},{master.address}")
        token_file.keep([master.address], text)
        assert run("tasks")[0] == 0
        assert shown == [""]
        token_file.keep([dev.address], "of-dev")
        run("tasks")
        assert shown[1:]
        assert text not in str(shown)


def test_without_a_folder_for_settings_nothing_is_written(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", "settings")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="set HOME or XDG_CONFIG_HOME"):
        token_file.keep(["a:1"], "one")
    assert not list(tmp_path.iterdir())
