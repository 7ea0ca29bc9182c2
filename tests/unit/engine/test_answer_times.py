"""When an answer has begun: by our own clock, because libcurl's cannot tell."""

import pycurl
import pytest

from crawler.engine.download.body_memory import BodyMemory
from crawler.engine.download.curl_transfer import Transfer
from crawler.engine.http.messages import FetchCall, FetchLimits
from crawler.settings.crawl import CrawlSettings
from tests.unit.engine.fakes import TransferDriver

TIMES_S = {pycurl.PRETRANSFER_TIME: 0.0, pycurl.STARTTRANSFER_TIME: 0.002, pycurl.TOTAL_TIME: 5.0}
"""libcurl counts the first two from a later moment than the last. Nearly always both are one, but
five seconds lie between them here."""


class Handle:
    def getinfo(self, what):
        return TIMES_S.get(what, 200)


@pytest.mark.parametrize(("chunks", "body_s"), [((b"x", b"y", b"z"), 2.0), ((), 0.0)])
def test_an_answer_begins_with_the_first_byte_of_its_body(chunks, body_s):
    driver = TransferDriver()
    call = FetchCall("http://h/", (), FetchLimits.of(CrawlSettings()), timeout_s=30.0)
    transfer = Transfer(call, lambda result: None, BodyMemory(), driver)
    transfer.handle = Handle()
    for number, chunk in enumerate(chunks):
        driver.clock.advance(1.0 if number else 7.0)
        transfer.receive(chunk)
    answer = transfer.answer()
    assert (answer.body, answer.body_s) == (b"".join(chunks), body_s)
    assert (answer.waited_s, answer.seconds) == (0.002, 5.0)
