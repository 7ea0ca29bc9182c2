"""Settings that stand elsewhere: in variables, and in files. No error shows what was read."""

import base64
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler import logs, redaction
from crawler.errors import ConfigError
from crawler.settings import config

CANARY = "open-sesame-4711"
KEYS = [base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2)]


@pytest.fixture(autouse=True)
def _forgets(monkeypatch):
    """What one test reads is hidden in no other."""
    monkeypatch.setattr(redaction, "_known", redaction.Remembered())


@pytest.fixture
def load(tmp_path):
    """Load settings from the text of a file, beside which the file `secret` holds the canary."""
    (tmp_path / "secret").write_text(f"{CANARY}\n")

    def load(text="", environment=None, is_right=True):
        file = tmp_path / "settings.yaml"
        file.write_text(text)
        if is_right:
            return config.load(str(file), environment or {})
        with pytest.raises(ConfigError) as caught:
            config.load(str(file), environment or {})
        return str(caught.value).removeprefix(str(tmp_path))

    return load


@pytest.mark.parametrize(
    ("text", "environment", "found"),
    [
        ("{user: u, password: '${PW}'}", {"PW": CANARY}, CANARY),
        ("{user: u, password: 'a${PW}${PW}b'}", {"PW": "x"}, "axxb"),
        ("{user: u, password: '${PW:-y}'}", {}, "y"),
        ("{user: u, password: '$${PW}'}", {}, "${PW}"),
        ("{user: u, password: 'a$b{c}$'}", {}, "a$b{c}$"),
        ("{user: u, password: file:secret}", {}, CANARY),
        ("{user: u, password: 'file:${WHERE}'}", {"WHERE": "secret"}, CANARY),
        ("{user: u}", {"CRAWLER_ETCD_PASSWORD": "${PW}", "PW": CANARY}, CANARY),
        ("{user: u}", {"CRAWLER_ETCD_PASSWORD": "file:secret"}, CANARY),
        ("{user: u, password: '${PW}'}", {"PW": "file:secret"}, "file:secret"),
        ("{user: u, password: 'a${PW}'}", {"PW": "file:secret"}, "afile:secret"),
        ("{user: u}", {"CRAWLER_ETCD_PASSWORD": "${PW}", "PW": "file:secret"}, "file:secret"),
    ],
)
def test_a_text_that_stands_elsewhere_is_read(load, text, environment, found):
    assert load(f"etcd: {text}", environment).etcd.password == found


def test_a_whole_reference_may_be_a_number_a_list_or_a_map(load, tmp_path):
    environment = {"T": "2.5", "E": "a:1,b:2", "L": "zone=a,rack=b"}
    text = "{etcd: {timeout_s: '${T}', endpoints: '${E}'}, node: {labels: '${L}'}}"
    settings = load(text, environment)
    assert (settings.etcd.timeout_s, settings.etcd.endpoints) == (2.5, ["a:1", "b:2"])
    assert settings.node.labels == {"zone": "a", "rack": "b"}
    (tmp_path / "number").write_text("7\n")
    assert load("etcd: {timeout_s: file:number}").etcd.timeout_s == 7.0


def test_each_text_of_a_list_and_a_map_may_stand_elsewhere(load, tmp_path):
    for number, key in enumerate(KEYS):
        (tmp_path / str(number)).write_text(f"{key}\n")
    assert load("", {"CRAWLER_SECRETS_KEY": "file:0,file:1"}).secrets.key == KEYS
    headers = load("crawl: {headers: {Cookie: file:secret, X-A: '${A}'}}", {"A": "b"}).crawl.headers
    assert headers == {"Cookie": CANARY, "X-A": "b"}


@pytest.mark.parametrize(
    ("text", "environment", "told"),
    [
        (
            "etcd: {password: '${PW}'}",
            {},
            "etcd.password: ${PW} given, but the environment has no variable PW; set it",
        ),
        (
            "crawl: {headers: {Cookie: '${C}'}}",
            {},
            "crawl.headers.Cookie: ${C} given, but the environment has no variable C",
        ),
        ("tasks: [{name: x, parameters: {a: ['${A}']}}]", {}, "parameters.a[0]: ${A} given"),
        ("", {"CRAWLER_ETCD_USER": "${U}"}, "environment: etcd.user: ${U} given, but"),
        (
            "etcd: {password: file:none}",
            {},
            "etcd.password: file:none given, but that file cannot be read: No such file",
        ),
        ("etcd: {password: 'file:.'}", {}, "file:. given, but that file cannot be read: Is a dir"),
        ("etcd: {password: file:binary}", {}, "cannot be read: it is no text in UTF-8; let"),
        ("etcd: {password: file:large}", {}, "cannot be read: it has more than 1000000 bytes"),
        ("secrets: {key: [file:secret]}", {}, "secrets.key[0]: another value given; 32 bytes in"),
    ],
)
def test_what_is_missing_is_named_with_its_setting(load, tmp_path, text, environment, told):
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"x" * 1_000_001)
    with pytest.raises(ConfigError) as caught:
        load(text, environment)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "${A:-${B}}",
        "${MY-VAR}",
        "${A-def}",
        "${}",
        "${",
        "${A",
        "${A:=b}",
        "x${hunter 2}",
        "$${A}${-}",
    ],
)
@pytest.mark.parametrize("place", ["file", "variable", "task"])
def test_what_is_like_a_reference_and_is_none_is_a_fault_that_names_its_setting(load, text, place):
    given, environment, path = {
        "file": (f"etcd: {{password: '{text}'}}", {}, "etcd.password"),
        "variable": ("", {"CRAWLER_ETCD_PASSWORD": text}, "etcd.password"),
        "task": (f"tasks: [{{name: a, parameters: {{b: '{text}'}}}}]", {}, "tasks[0].parameters.b"),
    }[place]
    with pytest.raises(ConfigError) as caught:
        load(given, {"B": "b", **environment})
    [told] = str(caught.value).splitlines()
    assert f"{path}: another value given; it has a ${{ that begins no reference;" in told
    assert told.endswith("write $${ for a literal ${")
    assert not {"hunter", "def", "MY-VAR"} & set(told.split())


def test_a_list_of_a_variable_names_no_files(load):
    found = load("worker: {private_targets: '${L}'}", {"L": "10.1.0.0/16, file:secret"}, False)
    assert "worker.private_targets[1]: '${L}' given" in found


@pytest.mark.parametrize("value", ["my given password", "ab given cd given ef", "x given"])
def test_no_error_shows_a_part_of_a_value_that_is_like_its_own_words(load, value):
    told = load("{etcd: {timeout_s: '${PW}'}, node: {grpc: 'a ${PW}'}}", {"PW": value}, False)
    assert not re.search("password|cd|ef|x", told.replace("etcd", ""))


@pytest.mark.parametrize(
    "value", ["*hunter2", "[hunter2", "'hunter2", "{hunter2: hunter2: hunter2"]
)
def test_no_error_of_yaml_shows_what_stands_there(load, value):
    told = load(f"etcd:\n  password: {value}\n", {}, False)
    assert re.search(r"is no YAML: .*, in line \d+, column \d+", told)
    assert "hunter2" not in told


@pytest.mark.parametrize("text", ["crawl: {headers: file:headers}", "crawl: {headers: '${H}'}"])
def test_a_log_shows_no_part_of_a_map_that_was_read_as_one_text(load, tmp_path, text):
    headers = "Cookie=id-of-session,X-Key=another-word,X-A=b"
    (tmp_path / "headers").write_text(headers)
    assert load(text, {"H": headers}).crawl.headers["X-A"] == "b"
    hidden = redaction.hide("id-of-session another-word Cookie b")
    assert re.fullmatch(r"(file:headers|\$\{H\}) (file:headers|\$\{H\}) Cookie b", hidden)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("etcd: {timeout_s: '${PW}'}", "etcd.timeout_s: '${PW}' given; a number"),
        ("etcd: {timeout_s: file:secret}", "etcd.timeout_s: 'file:secret' given; a number"),
        ("etcd: {endpoints: ['${PW}']}", "etcd.endpoints[0]: '${PW}' given; host:port"),
        ("frontier: {url: 'redis//h/${PW}'}", "frontier.url: 'redis//h/${PW}' given"),
        ("crawl: {proxies: ['http://me:${PW}@h:x']}", "crawl.proxies[0]: another value given"),
        ("crawl: {headers: {'A ': '${PW}'}}", "crawl.headers"),
        ("tasks: [{name: 'a/${PW}'}]", "'a/${PW}' is not allowed"),
        ("tasks: [{name: a, parameters: {settings: {retries: '${PW}'}}}]", "'${PW}' is not all"),
        ("spiders: '${PW}'", "'${PW}' given"),
    ],
)
def test_no_error_shows_what_was_read(load, text, told):
    with pytest.raises(ConfigError) as caught:
        load(text, {"PW": CANARY})
    assert told in str(caught.value)
    assert CANARY not in str(caught.value)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=80))
def test_no_error_shows_any_text_that_was_read(value):
    with pytest.raises(ConfigError) as caught:
        config.load(None, {"CRAWLER_ETCD_TIMEOUT_S": "${X}x", "X": value})
    given, _, _ = str(caught.value).partition(" given")
    assert given == "environment: etcd.timeout_s: '${X}x'" or value not in given.split(": ", 2)[2]


def test_a_log_shows_what_is_short_or_holds_no_secret(load):
    text = "{node: {id: '${ID}'}, frontier: {folder: '${STAGE}-states'}}"
    load(text, {"ID": "a-long-name", "STAGE": "product"})
    assert redaction.hide("a-long-name of products") == "a-long-name of products"


def test_neither_a_representation_nor_a_log_shows_what_was_read(load, tmp_path, capsys):
    (tmp_path / "secret").write_text("a third-4713")
    text = """
etcd: {user: me, password: file:secret}
worker: {databases: {shop: 'postgresql://me:${PW}@h/shop'}}
crawl: {headers: {Cookie: '${PW}'}}
"""
    settings = load(text, {"PW": "another-4712"})
    for part in (settings, settings.etcd, settings.worker, settings.crawl):
        assert not {"4713", "4712"} & set(repr(part).replace("'", "-").split("-"))
    before = logging.getLogger().handlers[:]
    try:
        logs.setup("info", "json")
        url = settings.worker.databases["shop"]
        logs.get_logger("test").info("cannot open", url=url, parts=[settings.etcd.password])
    finally:
        logging.getLogger().handlers[:] = before
    written = capsys.readouterr().err
    assert '"url": "postgresql://me:${PW}@h/shop", "parts": ["file:secret"]' in written
