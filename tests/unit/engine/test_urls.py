"""URLs are read as the WHATWG says, compared in one form, and nothing makes the reader fall."""

import json
from pathlib import Path
from urllib.parse import urljoin

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crawler.engine.http import urls

WPT = Path(__file__).parents[2] / "data" / "wpt"


def cases(name):
    """The cases of one of the standard's test files; what is a text there is a heading."""
    return [case for case in json.loads((WPT / name).read_text()) if isinstance(case, dict)]


def read(case):
    """The normal form of a case's input; None when it is no URL."""
    try:
        if case["base"] is None:
            return urls.parse(case["input"]).href
        return urls.join(case["base"], case["input"])
    except ValueError:
        return None


def test_urls_are_read_as_the_standard_says():
    """Some 800 cases in one test: each of its own would take longer to begin than to run."""
    given = cases("urltestdata.json")
    assert len(given) > 800
    assert [case for case in given if read(case) != case.get("href")] == []


@pytest.mark.parametrize("case", cases("toascii.json"), ids=lambda case: repr(case["input"]))
def test_names_of_hosts_become_ascii_as_the_standard_says(case):
    assert urls.host(f"https://{case['input']}/x") == (case["output"] or "")


words = st.text("abz09", min_size=1, max_size=4)
plain_paths = st.lists(words, min_size=1, max_size=4).map("/".join)


@given(plain_paths, st.sampled_from(["", "/", "./", "../", "../../", "?", "//other/"]))
def test_joining_plain_links_gives_what_the_standard_library_gives(path, prefix):
    base = "http://host:81/folder/page.html?q=1"
    assert urls.join(base, prefix + path) == urljoin(base, prefix + path)


anything = st.one_of(
    st.text(max_size=40),
    st.text("ahtp:/?#@[]%.\\x\ud800&= \t", max_size=30),
    st.binary(max_size=30).map(lambda data: data.decode("utf-8", "surrogateescape")),
    st.binary(max_size=30).map(lambda data: f"http://h/{data.decode('latin-1')}"),
)


@given(anything, anything, st.sampled_from(["utf-8", "koi8-r", "gb18030", "iso2022_jp", "none"]))
@example("http://h/", "?q=\ud800", "koi8-r")
@example("http://h/", "?q=\ud800", "utf-8")
def test_no_text_makes_the_reader_fall(base, href, encoding):
    for url in (base, href):
        urls.is_web(url)
        urls.host(url)
        urls.domain(url)
    try:
        joined = urls.join(base, href, encoding)
    except ValueError:
        return
    assert joined.isascii()
    sent = urls.safe(joined)
    assert urls.safe(sent) == sent
    assert urls.fingerprint(joined) == urls.fingerprint(sent)
    assert urls.canonical(urls.canonical(sent)) == urls.canonical(sent)


marks = st.text("/?#@\\:h.\t%[x ", max_size=10)
sites = ["http://h", "https://u:p@H:81", "http://", "https:/", "http:///h", "HTTP://h", "ftp://h"]


def joined(join, *where):
    try:
        return join(*where)
    except ValueError:
        return None


@given(st.builds("{}{}".format, st.sampled_from(sites), marks) | anything, marks.map("/{}".format))
@example("http:////h/x", "/y")
@example("http://h?/x", "/y")
def test_a_link_that_begins_with_a_slash_asks_for_the_root_of_its_page_alone(base, href):
    root = urls.root(base)
    if root:
        assert joined(urls.rooted, root, href) == joined(urls.join, base, href)


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("https://u:p@h:81/a/b?c", "https://u:p@h:81/"),
        ("http://h/", "http://h/"),
        ("http://h?a=/", ""),
        ("http:///h/", ""),
        ("ftp://h/", ""),
        ("/a/", ""),
    ],
)
def test_the_root_of_a_site_is_seen_at_a_glance_or_not_at_all(url, root):
    assert urls.root(url) == root


@given(anything)
def test_a_web_url_has_an_origin_that_is_one(url):
    if urls.is_web(url):
        origin = urls.origin(url)
        assert urls.is_web(origin)
        assert urls.origin(origin) == origin
        assert urls.host(origin) == urls.host(url)


@pytest.mark.parametrize(
    ("href", "encoding", "joined"),
    [
        ("?q=да", "koi8-r", "http://h/?q=%C4%C1"),
        ("?q=да#да", "windows-1251", "http://h/?q=%E4%E0#%D0%B4%D0%B0"),
        ("?q=☃", "koi8-r", "http://h/?q=%26%239731%3B"),
        ("?a=1&q=да", "utf-16", "http://h/?a=1&q=%D0%B4%D0%B0"),
        ("да", "koi8-r", "http://h/%D0%B4%D0%B0"),
        ("#?да", "koi8-r", "http://h/p#?%D0%B4%D0%B0"),
        ("?q=да", "no such", "http://h/?q=%D0%B4%D0%B0"),
    ],
)
def test_a_query_is_escaped_in_the_encoding_of_its_page(href, encoding, joined):
    assert urls.join("http://h/p", href, encoding).replace("/p?", "/?") == joined


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://h/?a=1&b=2", "http://h/?b=2&a=1"),
        ("http://H/x#part", "http://h/x"),
        ("http://h", "http://h/"),
        ("http://h/%7Eme", "http://h/~me"),
        ("http://h/a/../b", "http://h/b"),
        ("http://h:80/", "http://h/"),
        ("http://h/?", "http://h/"),
        ("http://h/?a=%c3%a4", "http://h/?a=ä"),
        ("http://h/?a=x%20y", "http://h/?a=x+y"),
    ],
)
def test_equal_pages_have_one_fingerprint(one, other):
    assert urls.fingerprint(one) == urls.fingerprint(other)


def test_method_and_body_tell_requests_apart():
    url = "http://h/x"
    marks = {
        urls.fingerprint(url),
        urls.fingerprint(url, "POST"),
        urls.fingerprint(url, "POST", b"a"),
        urls.fingerprint(url, "POST", b"b"),
        urls.fingerprint("http://h/X"),
    }
    assert len(marks) == 5
    assert all(0 <= mark < 2**64 for mark in marks)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://h/", True),
        ("HTTPS://h", True),
        ("http://[::1]:80/", True),
        ("ftp://h/", False),
        ("file:///etc/passwd", False),
        ("http://", False),
        ("http:///path", True),  # browsers take `path` for the host
        ("http:///", False),
        ("http://h:99999/", False),
        ("http://[::1/", False),
        ("/relative", False),
        ("mailto:a@b", False),
    ],
)
def test_only_absolute_http_urls_are_web(url, allowed):
    assert urls.is_web(url) is allowed


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        (" http://h/a b#top ", "http://h/a%20b"),
        ("http://h/ä", "http://h/%C3%A4"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://h/?q=a|b", "http://h/?q=a|b"),
        ("http://h/?q=a b", "http://h/?q=a%20b"),
        ("http://me:secret@h:8080/", "http://me:secret@h:8080/"),
    ],
)
def test_urls_are_sent_as_safe_ascii(url, sent):
    assert urls.safe(url) == sent
    assert urls.safe(url).isascii()


def test_the_origin_has_no_user_and_keeps_the_port():
    assert urls.origin("HTTP://me:secret@Host:8080/x?y") == "http://host:8080"
    assert urls.origin("https://host?x") == "https://host"
    assert urls.host("http://me@Host:8080/x") == "host"
    with pytest.raises(ValueError, match="no http"):
        urls.origin("ftp://host/")


def test_a_host_is_within_its_domain_and_those_above():
    domains = frozenset({"example.org", "127.0.0.1"})
    assert urls.is_within("example.org", domains)
    assert urls.is_within("a.b.example.org", domains)
    assert urls.is_within("127.0.0.1", domains)
    assert not urls.is_within("badexample.org", domains)
    assert not urls.is_within("org", domains)
    assert urls.is_within("www.example.org.", domains)


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("Example.ORG", "example.org"),
        (".example.org", "example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_domain_is_written_as_hosts_are(name, domain):
    assert urls.domain(name) == domain


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("?utm_source=a&id=1&UTM_x=2", "?id=1&UTM_x=2"),
        ("?gclid", ""),
        ("?gclid=1&utm_term=", ""),
        ("?a=utm_source", "?a=utm_source"),
        ("?a=1&&b", "?a=1&&b"),
    ],
)
def test_parameters_are_stripped_by_name(query, left):
    unwanted = urls.stripper(["utm_*", "gclid"])
    url = urls.stripped(urls.parse(f"http://h/{query}"), unwanted)
    assert url.href == f"http://h/{left}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:secret@h:81/a?b=1", "http://h:81/a?b=1"),
        ("https://me@h/", "https://h/"),
        ("http://h/@a", "http://h/@a"),
        ("http://h?mail=me@h", "http://h?mail=me@h"),
        ("mailto:me@h", "mailto:me@h"),
    ],
)
def test_a_url_is_shown_without_its_password(url, shown):
    assert urls.shown(url) == shown
