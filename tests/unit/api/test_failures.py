"""Every error has its code, on either side of the wire."""

import grpc
import pytest

from crawler.api.failures import CODES, MAX_MESSAGE_BYTES, Failure, explain, shorten
from crawler.errors import (
    Compacted,
    CrawlerError,
    LeadershipLost,
    NotFound,
    OutcomeUnknown,
    Unavailable,
)


def test_the_codes_are_those_of_grpc():
    assert {name: number for name, (number, _) in CODES.items()} == {
        code.name: code.value[0] for code in grpc.StatusCode
    }


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (NotFound("no such task"), Failure("NOT_FOUND", "no such task")),
        (Unavailable("later", 2.5), Failure("UNAVAILABLE", "later", 2.5)),
        (LeadershipLost("gone"), Failure("UNAVAILABLE", "gone", 1.0)),
        (Compacted(3), Failure("UNAVAILABLE", "history before revision 3 was compacted", 1.0)),
        (OutcomeUnknown("who knows"), Failure("DEADLINE_EXCEEDED", "who knows")),
        (CrawlerError("told by another master"), Failure("INTERNAL", "told by another master")),
    ],
)
def test_what_is_raised_on_purpose_is_told_as_it_is(error, failure):
    assert explain(error, "here") == failure


def test_a_defect_is_told_by_an_id_that_the_log_knows(caplog):
    try:
        raise KeyError("secret")
    except KeyError as error:
        failure = explain(error, "/CrawlerMaster/AddResource")
    assert failure.code == "INTERNAL"
    assert "secret" not in failure.message
    record = caplog.records[-1]
    assert failure.message.endswith(f"id {record.fields['error_id']}")
    assert "secret" in str(record.exc_info[1])


@pytest.mark.parametrize("letter", ["x", "é", "豆", "\ud800"])
def test_long_messages_fit_into_a_header(letter):
    short = shorten(letter * 5000)
    assert len(short.encode()) <= MAX_MESSAGE_BYTES
    assert short.endswith("...")
    assert shorten("豆瓣") == "豆瓣"
