"""The commands about secrets, as far as they need no cluster."""

import base64
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from crawler.cli import secret
from crawler.model.secrets import SecretWish

CANARY = "open-sesame"


@pytest.fixture
def run(monkeypatch):
    """Run a command of `crawler secret`; `run.wishes` are the secrets that it sets."""

    def run(*words, given=""):
        return CliRunner().invoke(secret.secret, words, input=given)

    run.wishes = []
    client = SimpleNamespace(set_secret=lambda wish, call: run.wishes.append(wish))
    client.__enter__ = lambda *_: client
    monkeypatch.setattr(secret, "connected", lambda _: Connected(client))
    return run


class Connected:
    def __init__(self, client):
        self.client = client

    def __enter__(self):
        return self.client

    def __exit__(self, *_):
        """Nothing is to be closed."""


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_value_comes_from_standard_input_or_a_file_without_its_last_line_break(
    run, tmp_path, end
):
    (tmp_path / "value").write_bytes(f"{CANARY}\n{CANARY}{end}".encode())
    assert run("set", "shop", "--file", str(tmp_path / "value")).exit_code == 0
    assert run("set", "shop", given=f"{CANARY}\n{CANARY}{end}").exit_code == 0
    assert {wish.value.replace("\r", "") for wish in run.wishes} == {f"{CANARY}\n{CANARY}"}
    assert run.wishes[0] == SecretWish("shop", f"{CANARY}\n{CANARY}")


def test_a_value_as_an_argument_is_refused_and_not_repeated(run):
    done = run("set", "shop", CANARY)
    assert done.exit_code == 2
    assert "a value is no argument: everybody on this machine could read it" in done.output
    assert CANARY not in done.output
    assert not run.wishes


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("a b", CANARY, "name: 'a b' is not allowed; allowed are 1 to 64 letters"),
        (
            "shop",
            "abcdefg",
            "value: a text of 7 characters (7 bytes) is not allowed; allowed are 8",
        ),
        ("shop", CANARY * 745, "value: a text of 8195 characters (8195 bytes) is not allowed"),
    ],
)
def test_what_is_no_secret_is_refused_without_its_value(run, name, value, told):
    done = run("set", name, given=value)
    assert told in str(done.exception)
    assert value not in str(done.exception) + done.output
    assert not run.wishes


def test_each_new_key_is_another_one(run):
    keys = [run("key").stdout.strip() for _ in range(2)]
    assert [len(base64.b64decode(key)) for key in keys] == [32, 32]
    assert keys[0] != keys[1]
