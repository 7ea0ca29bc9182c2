"""The texts of headers answer like bytes too, for spiders written for Scrapy."""

import pytest

from crawler import Request, Response

VALUE = b" Text/HTML; a=1; title=caf\xc3\xa9 "


def received(value=VALUE):
    return Response("http://h/", headers={"X-A": value}).headers["x-a"]


def sent(value=VALUE):
    return Request("http://h/", headers={"X-A": value}).headers["x-a"]


@pytest.mark.parametrize("header", [received, sent])
@pytest.mark.parametrize(
    "ask",
    [
        lambda it: it.strip(),
        lambda it: it.lstrip(),
        lambda it: it.rstrip(b" ;"),
        lambda it: it.lower(),
        lambda it: it.upper(),
        lambda it: it.title(),
        lambda it: it.capitalize(),
        lambda it: it.swapcase(),
        lambda it: it.replace(b"a", b"\xc3\xa9", 1),
        lambda it: it.strip().removeprefix(b"Text/"),
        lambda it: it.strip().removesuffix(b"\xc3\xa9"),
        lambda it: it.partition(b";"),
        lambda it: it.rpartition(b"="),
        lambda it: it.split(),
        lambda it: it.split(b"; "),
        lambda it: it.split(sep=b";", maxsplit=1),
        lambda it: it.rsplit(None, 1),
        lambda it: it.rsplit(b"=", 1),
        lambda it: it.splitlines(),
        lambda it: it.lower().startswith((b"x", b"text/html", b" text/html")),
        lambda it: it.strip().endswith(b"\xc3\xa9"),
        lambda it: it.count(b"a"),
        lambda it: it.strip().find(b"="),
        lambda it: it.strip().rfind(b"\xc3\xa9"),
        lambda it: it.strip().index(b"a", 5),
        lambda it: it.strip().rindex(b";"),
        lambda it: b"\xc3\xa9" in it,
        lambda it: b"x" in it,
        lambda it: it.strip()[:4],
        lambda it: it.strip() + b"\xc3\xa9",
        lambda it: b"\xc3\xa9" + it.strip(),
        lambda it: bytes(it).strip(),
    ],
)
def test_it_answers_like_bytes(header, ask):
    of_bytes = VALUE.strip() if header is sent else VALUE
    assert spelt(ask(header())) == ask(of_bytes)


def spelt(found):
    """The answer with its texts as the bytes that they stand for."""
    if isinstance(found, str):
        return found.decode().encode()
    return type(found)(map(spelt, found)) if isinstance(found, (list, tuple)) else found


@pytest.mark.parametrize("header", [received, sent])
def test_it_answers_like_a_text(header):
    it = header("text/html; a=1")
    assert it.partition(";") == ("text/html", ";", " a=1")
    assert it.upper().replace("A", "b") == "TEXT/HTML; b=1"
    assert "prefix " + it[:4] + ("x" in it) * "!" == "prefix text!"
    assert [it.find("a"), it.split(sep="; ")] == [11, ["text/html", "a=1"]]


def test_it_keeps_what_a_spider_wrote():
    made = Response("http://h/", headers={"X-A": "ж x"}).headers["x-a"]
    assert made.split() == ["ж", "x"]
    assert made.upper().decode() == "ж X"
    assert sent("ж=ж; x")[2:].split("; ") == ["ж", "x"]


def test_bytes_outside_the_encoding_stay_as_they_are():
    assert received(b"caf\xe9\xa0").strip().decode("latin-1") == "café\xa0"
    assert bytes(sent(b"\xff A").lower()) == b"\xff a"
