"""The forms of settings: what has them, and what has not."""

import pytest

from crawler.errors import ConfigError
from crawler.settings import config, forms
from crawler.settings.crawl import CrawlSettings
from crawler.settings.overrides import override

FITS = {
    "LISTEN": ["", ":80", "0.0.0.0:8081", "host:65535"],
    "ENDPOINT": ["127.0.0.1:2379", "etcd-1.example:1"],
    "PATH": ["/a", "/a/b-c.d"],
    "SERVICE": ["go.micro.server.worker", "a_b-1"],
    "NAME": ["", "shop-1", "x" * 64],
    "QUANTITY": ["cpu", "nvidia.com/gpu"],
    "TAINT": ["spot=yes:NoSchedule", "old:PreferNoSchedule", "ref=1:NoSchedule"],
    "CALLERS": ["10.0.0.0/8", "fd00::/8", "::1", "127.0.0.1"],
    "NETWORK": ["all", "10.0.0.0/8", "fd00::/8", "::1", "fd00::123456"],
    "ISSUER": ["", "https://id.example/realms/a", "http://127.0.0.1:80", "http://[::1]:8000/"],
    "COLLECTOR": ["", "http://collector:4318", "https://otlp.example/v1/traces"],
    "CLAIM": ["groups", "realm_access.roles", "https://example.org/roles"],
    "SCOPE": ["openid", "api://crawler/.default"],
    "PROXY": [
        "http://host:3128",
        "HTTP://user:123456@host:3128/",
        "http://user:123456@host",
        "socks4a://host:1",
        "socks5h://host:65535",
    ],
    "HEADER_NAME": ["X-Ref", "accept"],
    "LINE": ["", "ref:123456", "a: b:99999999"],
    "HEADER": ["X-Ref: 1", "Host: h", "Connection: close"],
    "USER": ["", "me", "Jürgen"],
    "USER_NAME": ["", "crawler", "www-data", "_apt", "a.b-1"],
    "WEB": ["", "https://hooks.example/a?b=c", "http://127.0.0.1:80"],
    "RULE": ["", "few-items", "a.b_C"],
    "MAIL": ["", "ops@example.com"],
    "SHARED": ["", "s3://bucket/folder", "gs://bucket", "/mnt/items"],
    "HISTORY": ["", "sqlite:///history.db", "postgresql://me:x@h/db", "postgres://h/db"],
    "REDIS": ["", "redis://h:1/0", "rediss+sentinel://a:1,b:2/service"],
    "SECRET_KEY": ["A" * 43 + "=", "+/" + "A" * 41 + "="],
    "WILDCARD": ["utm_*", "text/*", "[ab]?", "x" * 200],
    "REGEX": ["", r"\.pdf$", "/port:99999", "a\nb", "(a+)+$", r"a\{,3}", "x" * 1000],
}
FITS_NOT = {
    "LISTEN": ["80", "host", ":65536", ":123456", "a:b:80", "http://host:80"],
    "ENDPOINT": ["", "h:٣", ":80", "host", "host:99999", "a b:1"],
    "PATH": ["", "a", "/", "/a/", "/a b"],
    "SERVICE": ["", "a/b", "a b"],
    "NAME": ["a/b", "x" * 65],
    "QUANTITY": ["", "a b", "-x"],
    "TAINT": ["", "spot", "a:No", "=b:NoSchedule"],
    "CALLERS": ["", "all", "host", "10.0.0.1/8", "10.0.0.0/33", "fd00::123456"],
    "NETWORK": ["", "host", "10.0.0.0/", "10.0.0.0/1234"],
    "ISSUER": [
        *("http://id.example", "https://", "id.example", "https://a?b", "https://a:99999"),
        *("https://me:secret@a", "ftp://a", "https://[", "https://a b", "http://127.0.0.1.a.org"),
    ],
    "COLLECTOR": [
        "collector:4318",
        "http://",
        "http://me:secret@h",
        "http://h:99999",
        "http://h?a",
    ],
    "CLAIM": ["", "a b"],
    "SCOPE": ["", "a b", 'a"', "é"],
    "PROXY": ["", "host:1", "ftp://host:1", "http://", "http://host:99999", "http://host:1/a"],
    "HEADER_NAME": ["", "X Ref", "X:"],
    "LINE": ["a\nb", "a\r", "\0"],
    "HEADER": ["Content-Length: 1", "transfer-encoding: chunked", "Connection: upgrade"],
    "USER": ["me:", "a\nb", "\x7f"],
    "USER_NAME": ["a b", "-x", "a:b", "x" * 33],
    "WEB": [
        "ftp://a",
        "hooks.example",
        "https://",
        "https://me:pw@a",
        "https://a b",
        "https://a/\x01",
        "https://a/é",
    ],
    "RULE": ["a b", "a/b", "x" * 65],
    "MAIL": ["ops", "a@b@c", "Ops <ops@example.com>", "a b@c"],
    "SHARED": ["mnt/items", "http://a/b", "s3://", "s3:///a"],
    "HISTORY": ["history.db", "sqlite://x", "mysql://h/db", "postgresql://h/a b"],
    "REDIS": ["h:1", "http://h:1", "redis://h:1/service", "redis+sentinel://h:1"],
    "SECRET_KEY": ["", "A" * 43, "A" * 44, "A" * 40 + "====", "x"],
    "WILDCARD": ["", "x" * 201],
    "REGEX": ["(", "[a", "(?=a)", r"(a)\1", r"a\Z", "a{,3}", "a{1001}", "x" * 1001, "\ud800"],
}


def every_form():
    return {name: form for name, form in vars(forms).items() if isinstance(form, forms.Form)}


def test_each_form_is_tested():
    assert FITS.keys() == FITS_NOT.keys() == every_form().keys()


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, texts in FITS.items() for t in texts])
def test_what_has_a_form(name, text):
    assert every_form()[name].fits(text)


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, texts in FITS_NOT.items() for t in texts])
def test_what_has_it_not(name, text):
    assert not every_form()[name].fits(text)


def test_what_follows_a_colon_in_a_header_is_no_port(tmp_path):
    headers = {"X-Ref": "ref:123456"}
    file = tmp_path / "settings.yaml"
    file.write_text("crawl: {headers: {X-Ref: 'ref:123456'}}")
    assert config.load(str(file), {}).crawl.headers == headers
    assert override(CrawlSettings(), {"headers": headers}, "settings").headers == headers


@pytest.mark.parametrize("endpoint", ["''", "'h:123456'", "':1'"])
def test_an_endpoint_needs_a_host_and_a_port(tmp_path, endpoint):
    file = tmp_path / "settings.yaml"
    file.write_text(f"etcd: {{endpoints: [{endpoint}]}}")
    with pytest.raises(ConfigError, match=r"etcd\.endpoints\[0\]: .* given; host:port is allowed"):
        config.load(str(file), {})
