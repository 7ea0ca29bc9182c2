"""The fast paths of urls.py give what the full algorithms give."""

from urllib.parse import urljoin

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from w3lib.url import canonicalize_url, safe_url_string

from crawler.engine import urls

parts = st.text("abzAZ09._~/-:?=&%#;,+ äx", max_size=12)
url_like = st.builds(
    lambda scheme, host, tail: f"{scheme}://{host}{tail}",
    st.sampled_from(["http", "https", "HTTP", "ftp"]),
    st.text("abz09.-:A", max_size=8),
    parts.map(lambda text: f"/{text}"),
)


@given(url_like)
@example("http://a/b/../c")
@example("http://a/.hidden")
@example("https://xn--a/")
def test_a_plain_url_is_its_own_safe_and_canonical_form(url):
    if urls.is_plain(url):
        assert canonicalize_url(url) == url
        assert safe_url_string(url) == url


@given(parts)
@example("/a/b.html?x=1&y=2")
@example("//other/x")
@example("/a/../b")
@example("/a//b")
def test_joining_gives_what_the_standard_library_gives(href):
    base = "http://host:81/folder/page.html?q=1"
    try:
        expected = urljoin(base, href.strip())
    except ValueError:
        return
    assert urls.join(base, href) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://h/?a=1&b=2", "http://h/?b=2&a=1"),
        ("http://H/x#part", "http://h/x"),
        ("http://h", "http://h/"),
        ("http://h/%7Eme", "http://h/~me"),
        ("http://h/a/../b", "http://h/b"),
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
        ("http:///path", False),
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
        ("http://h/?q=a|b", "http://h/?q=a%7Cb"),
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
