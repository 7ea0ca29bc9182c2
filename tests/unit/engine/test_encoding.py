"""Which encoding wins, and what labels mean."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crawler.engine.http.encoding import GUESS_BYTES, decode
from crawler.engine.http.encoding_labels import _LABELS, codec

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
        ("the euro of Windows", b"5\x80 \xbf\xbf", "text/html; charset=gbk", "5€ 靠"),
        ("a byte that gbk lacks", b"\xff1\x81", "text/html; charset=gbk", "\ufffd1\ufffd"),
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


@pytest.mark.parametrize(
    ("body", "content_type", "encoding"),
    [
        (b'<!-- <meta charset="koi8-r"> --><meta charset=cp1251>', "", "cp1251"),
        (b'<META HTTP-EQUIV="Content-TYPE" CONTENT="a/b; CHARSET=ISO-8859-2">', "", "iso8859-2"),
        (b"<meta content='charset = \"koi8-r\"' http-equiv=content-type>", "", "koi8-r"),
        (b"<meta http-equiv='content-type' content='charset charset=greek'>", "", "iso8859-7"),
        (b"<meta charset=greek charset=koi8-r>", "", "iso8859-7"),
        (b"<title a='>'>x</title><meta\ncharset=koi8-r/>", "", "koi8-r"),
        (b"<meta charset=greek><meta charset=koi8-r>", "text/html", "iso8859-7"),
        (b"<meta charset = ' windows-1250 '>", "", "cp1250"),
        (b'<meta charset="martian"><meta charset="greek">', "", "iso8859-7"),
        (b'<?xml version="1.0" encoding="shift_jis"?><a/>', "text/xml", "cp932"),
        (b'<meta charset="utf-16">', "", "utf-8"),
        (b"x", 'text/html; Charset = "ISO_8859-1:1987"; q=1', "cp1252"),
        (b"x", "text/html; charset=x-user-defined", "cp1252"),
        (b"x", "text/html; charset=base64", "utf-8"),
        (b"x", "text/html; charset=unicode_escape", "utf-8"),
        (b'<meta charset="utf-7">', "", "utf-8"),
        ("\ufeffx".encode("utf-32-le"), "", "utf-32-le"),
        ("\ufeffx".encode("utf-16-be"), "text/html; charset=utf-8", "utf-16-be"),
        (b" " * 1100 + b"<meta charset=koi8-r>", "", "koi8-r"),
        ("<?xml version='1.0'?><a/>".encode("utf-16-le"), "application/xml", "utf-16-le"),
        ("<?xml version='1.0'?><html/>".encode("utf-16-be"), "text/html", "utf-16-be"),
        ("<?xml version='1.0'?><a/>".encode("utf-16-le"), "a/xml; charset=koi8-r", "koi8-r"),
    ],
)
def test_a_declaration_is_found_and_means_what_the_web_means_by_it(body, content_type, encoding):
    assert decode(body, content_type)[0] == encoding


def test_every_label_names_an_encoding_of_text():
    for label in (label for labels in _LABELS.values() for label in labels.split()):
        assert b"".decode(codec(label)) == ""
        assert isinstance(b"\xff\x80ab".decode(codec(label), "replace"), str)
        assert codec(f" {label.upper()}\n") == codec(label)
    assert len({label for labels in _LABELS.values() for label in labels.split()}) == 223


pieces = st.sampled_from(
    [
        b"<meta ",
        b"charset=",
        b"<!--",
        b"-->",
        b'"',
        b"'",
        b"utf-8",
        b"gb18030",
        b"\xff\xfe",
        b">",
        b"<?xml encoding=",
        b"big5",
        b"iso-2022-jp",
        b"\x1b$B",
        b"\xef\xbb\xbf",
        b"base64",
        b"\0",
    ]
)
broken = st.lists(st.one_of(pieces, st.binary(max_size=20)), max_size=30).map(b"".join)


@given(broken, st.one_of(st.text(max_size=30), st.just("text/html; charset=iso-2022-jp")))
@example(b"<meta " * 2000, "")
@example(b"<!--" * 2000, "")
def test_no_bytes_make_it_fail_or_hang(body, content_type):
    began_s = time.thread_time()
    encoding, text = decode(body, content_type)
    assert isinstance(text, str)
    assert "".encode(encoding) is not None
    assert time.thread_time() - began_s < 0.5, "of processor"


@pytest.mark.parametrize(
    "body",
    [
        b'<meta property=og:url content="http://h/?charset=koi8-r">',
        b'<meta http-equiv=refresh content="9; url=/?charset=koi8-r">',
        b'<meta name=description content="text/html; charset=koi8-r">',
        b'<meta http-equiv=x content="text/html; charset=koi8-r">',
        b'<meta content="text/html; charset=koi8-r">',
        b"<meta data-charset=koi8-r>",
        b'<meta name="<meta charset=koi8-r>">',
        b"<script>var a = '<meta charset=koi8-r>'</script>",
        b"<style>/* <meta charset=koi8-r> */</style>",
        b"<title><meta charset=koi8-r></title>",
        b"<noscript><meta charset=koi8-r></noscript>",
        b"<!-- > <meta charset=koi8-r> -->",
        b"<?php <meta charset=koi8-r",
        b'<link title="<meta charset=koi8-r>">',
        b"x <?xml version='1.0' encoding='koi8-r'?>",
    ],
)
def test_what_only_speaks_of_an_encoding_declares_none(body):
    assert decode(body + "é".encode(), "text/html") == ("utf-8", (body + "é".encode()).decode())


@pytest.mark.parametrize("content_type", ["text/plain", "text/css", "application/javascript"])
def test_what_is_no_page_declares_nothing_in_itself(content_type):
    assert decode(b"<meta charset=koi8-r>", content_type)[0] == "utf-8"


@pytest.mark.parametrize(
    "filler", ["<style>a{}</style>", "<script>if (a<b) c()</script>", "<link>"]
)
def test_a_declaration_counts_in_all_of_the_head_and_not_behind_it(filler):
    head = f"<html><head>{filler * 3000}".encode()
    meta = b"<meta charset=koi8-r>"
    assert decode(head + meta + b"</head><body>")[0] == "koi8-r"
    assert decode(head + b"</head><body>" + meta)[0] == "utf-8"


@pytest.mark.parametrize(
    "hides", ["<!-- {} -->", "<script>'{}'</script>", "<noscript>{}</noscript>"]
)
def test_the_end_of_the_head_in_a_comment_or_script_is_none(hides):
    start = "<head><style>" + "a{}" * 1000 + "</style>" + hides.format("</head><body>")
    assert decode(start.encode() + b"<meta charset=koi8-r></head><body>")[0] == "koi8-r"


def test_the_parameter_of_a_header_is_charset_and_nothing_that_ends_so():
    assert decode(b"x", "text/html; xcharset=koi8-r")[0] == "utf-8"
    assert decode(b"x", "text/html charset=koi8-r")[0] == "koi8-r"


@pytest.mark.parametrize("bad", [b"\xff", b"\xe9", b"\xc3(", b"\xed\xa0\x80"])
@pytest.mark.parametrize("where", [0, 0.5, 1])
def test_a_few_bad_bytes_leave_a_page_in_utf_8(bad, where):
    text = RUSSIAN.encode()
    at = len(text[: int(len(text) * where)].decode(errors="ignore").encode())
    encoding, read = decode(text[:at] + bad + text[at:], "text/html")
    assert encoding == "utf-8"
    assert sum(letter in "абвгдежзиклмнопрстуфхцчшщыьэюя" for letter in read) > 190


@pytest.mark.parametrize(
    "body", ["naïve ☃".encode()[:-1], "日本語".encode() * 9 + b"\xff", "é".encode() * 3 + b"\x96"]
)
def test_short_texts_of_which_most_is_utf_8_are_so(body):
    assert decode(body)[0] == "utf-8"


@pytest.mark.parametrize("body", [b"caf\xe9", b"\xe9t\xe9", b"\x93x\x94 \xc3\xa9 \xe9\xe8\xea."])
def test_texts_of_which_little_is_utf_8_are_not(body):
    assert decode(body)[0] != "utf-8"


@pytest.mark.parametrize("charset", ["", "; charset=iso-8859-1", "; charset=utf-16"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_json_is_utf_8_whatever_its_header_says(charset, mark):
    body = mark + '{"a": "é"}'.encode()
    assert decode(body, f"application/json{charset}") == ("utf-8", '{"a": "é"}')
    assert decode(body, f"application/ld+json{charset}")[1] == '{"a": "é"}'


def test_json_that_cannot_be_utf_8_is_what_its_header_says():
    assert decode('{"a": "é"}'.encode("latin-1"), "text/json; charset=latin1")[1] == '{"a": "é"}'
    assert decode('{"a": "é"}'.encode("latin-1"), "text/json") == ("utf-8", '{"a": "\ufffd"}')


def test_the_guess_finds_an_encoding_nobody_declared():
    assert decode(RUSSIAN.encode("koi8-r"))[1] == RUSSIAN


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("El niño pequeño comió mañana después del año pasado; ¿cómo está usted? ", "cp1252"),
        ("Türkçe sayfaların çoğu için bu işe yarar; şimdi deniyoruz, ağaç ve ışık. ", "cp1254"),
        ("Καλημέρα κόσμε, αυτή είναι μια δοκιμή της κωδικοποίησης. ", "cp1253"),
        ("中文網頁的內容在這裡，我們測試編碼檢測。這是一個很長的句子。", "gb18030"),
        ("日本語のページです。文字コードの判定をテストしています。", "cp932"),
        ("日本語のページです。文字コードの判定をテストしています。", "euc_jp"),
        ("한국어 페이지입니다. 문자 인코딩 감지를 시험합니다. ", "cp949"),
    ],
)
def test_the_guess_knows_the_encodings_of_the_web(text, encoding):
    assert decode((text * 10).encode(encoding))[1] == text * 10


def test_the_guess_looks_at_no_more_than_its_share(monkeypatch):
    seen = []

    class Matches:
        def best(self):
            return None

    monkeypatch.setattr(
        "crawler.engine.http.encoding.from_bytes",
        lambda data, **_: seen.append(len(data)) or Matches(),
    )
    encoding, text = decode(b"\xff" + b"plain" * 100_000)
    assert seen == [GUESS_BYTES]
    assert encoding == "cp1252"
    assert text.startswith("ÿplain")


def test_bytes_that_fit_no_encoding_cost_a_character_not_the_page():
    assert decode(b"a\xffb", "text/html; charset=utf-8") == ("utf-8", "a�b")


@pytest.mark.parametrize(
    "head", [b"<meta charset=", b"<meta charset", b"<?xml encoding=", b"<meta "]
)
@pytest.mark.parametrize("filling", [b" ", b"charset= ", b"<meta ", b"<!--", b"\"' "])
def test_no_head_of_a_page_takes_long_to_search(head, filling):
    body = (head + filling * 1_000_000)[:1_000_000]
    began_s = time.process_time()
    decode(body)
    assert time.process_time() - began_s < 0.3, "a page is decoded in a moment, whatever it says"
