"""Whatever header lines a server sends, an answer is judged, and nothing breaks."""

from hypothesis import example, given
from hypothesis import strategies as st

from crawler.engine.crawl import verdicts
from crawler.engine.frontier.job import Job
from crawler.engine.http import urls
from crawler.engine.http.headers import Headers
from crawler.engine.http.messages import FetchAnswer
from crawler.engine.http.request import Request
from crawler.engine.politeness import robots
from crawler.settings.crawl import CrawlSettings

NAMES = (b"location", b"retry-after", b"content-type", b"content-length", b"x-robots-tag", b"")
values = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"//[", b"http://[::1", b"http://h:99999/", b"\xc3\xa4", b"\xff\xfe", b" "]),
    st.sampled_from([b"9" * 400, b"-1", b"0x10", b"1e9", b"nan", b"Wed, 31 Feb 99999 25:61 GMT"]),
)
lines = st.lists(
    st.one_of(
        st.builds(lambda name, value: name + b":" + value, st.sampled_from(NAMES), values),
        st.binary(max_size=30),
        st.just(b"HTTP/1.1 200 OK"),
    ),
    max_size=8,
)


@given(lines, st.integers(0, 999), st.binary(max_size=30))
@example([b"location:" + b"a" * 100_000], 302, b"")
@example([b"retry-after:" + b"9" * 400], 503, b"")
def test_any_header_lines_are_judged(lines, status, body):
    headers = Headers.parse(lines)
    assert len(list(headers)) <= len(lines)
    job = Job(Request("http://h/a"), "http://h/a", 0, 0)
    answer = FetchAnswer(status, lines, body, 0.0)
    verdict = verdicts.decide(job, answer, CrawlSettings(), 1e9)
    if isinstance(verdict, verdicts.Redirect):
        assert urls.is_web(verdict.url)
        assert verdict.url.isascii()
    if isinstance(verdict, verdicts.Retry):
        assert 0 <= verdict.pause_s < 1e9
    target = robots.redirect("http://h/robots.txt", answer)
    assert target is None or urls.is_web(target)
