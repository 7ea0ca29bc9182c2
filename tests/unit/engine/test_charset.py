"""Which encoding wins, and what labels mean."""

import pytest

from crawler.engine.charset import GUESS_BYTES, decode

RUSSIAN = (
    "Поисковый робот обходит страницы сайта одну за другой, извлекает из них ссылки и сохраняет "
    "найденные данные. Чтобы не перегружать сервер, он делает паузу между запросами и соблюдает "
    "правила, которые владелец сайта записал в отдельном файле."
)


@pytest.mark.parametrize(
    ("name", "body", "content_type", "text"),
    [
        ("bom beats header", "\ufeffżółw".encode("utf-16-le"), "text/html; charset=latin1", "żółw"),
        ("utf-8 bom is cut", b"\xef\xbb\xbfx", "", "x"),
        ("header", "é".encode("latin1"), "text/html; charset=ISO-8859-1", "é"),
        ("latin-1 means cp1252", b"\x93quoted\x94", "text/html; charset=latin1", "“quoted”"),
        ("gb2312 means gb18030", "網頁".encode("gbk"), "text/html; charset=gb2312", "網頁"),
        ("header beats meta", "é".encode(), 'text/html; charset="utf-8"', "é"),
        ("meta", '<meta charset="koi8-r">да'.encode("koi8-r"), "text/html", None),
        ("http-equiv", b'<meta http-equiv=content-type content="a; charset=cp1251">\xe4', "", None),
        ("utf-8 without any hint", "naïve ☃".encode(), "", "naïve ☃"),
        ("unknown label is ignored", "é".encode(), "text/html; charset=martian", "é"),
    ],
)
def test_the_text_of_a_page(name, body, content_type, text):
    encoding, decoded = decode(body, content_type)
    if text is None:
        assert "�" not in decoded
        assert decoded.endswith(("да", "д"))
    else:
        assert decoded == text
    assert "".encode(encoding) is not None


def test_a_declaration_behind_the_first_4_kb_does_not_count():
    body = b" " * 4096 + b'<meta charset="koi8-r">' + "é".encode()
    assert decode(body)[0] == "utf-8"


def test_the_guess_finds_an_encoding_nobody_declared():
    assert decode(RUSSIAN.encode("koi8-r"))[1] == RUSSIAN


def test_the_guess_looks_at_no_more_than_its_share(monkeypatch):
    seen = []

    class Matches:
        def best(self):
            return None

    monkeypatch.setattr(
        "crawler.engine.charset.from_bytes", lambda data: seen.append(len(data)) or Matches()
    )
    encoding, text = decode(b"\xff" + b"plain" * 100_000)
    assert seen == [GUESS_BYTES]
    assert encoding == "cp1252"
    assert text.startswith("ÿplain")


def test_bytes_that_fit_no_encoding_cost_a_character_not_the_page():
    assert decode(b"a\xffb", "text/html; charset=utf-8") == ("utf-8", "a�b")
