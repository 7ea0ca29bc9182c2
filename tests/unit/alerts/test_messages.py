"""What people and programs read of alerts."""

import json
from email import message_from_bytes, policy

from crawler.alerts import messages
from crawler.alerts.messages import Message
from crawler.model.alerts import Alert, When

SECOND_NS = 10**9
ODD = Alert(
    "f\nX-A: 1", When.FAILED, "task <b>&\r\nBcc: x@y", "1", "it\x1b[31m failed\n!", SECOND_NS
)
GOOD = Alert(
    *("few", When.FEW_ITEMS, "task shop", "1", "it ended with 1 items; usual are 9", SECOND_NS),
    {"team": "a"},
    2 * SECOND_NS,
    "the next run ended well",
)


def message(*alerts, **more):
    return Message("prod", alerts, 3 * SECOND_NS, **more)


def test_a_webhook_gets_every_field():
    found = json.loads(messages.webhook_body(message(GOOD, more=2, dropped=3, note="n")))
    assert found == {
        "id": message(GOOD).id,
        "title": "prod",
        "time": "1970-01-01T00:00:03.000Z",
        "alerts": [
            {
                "id": GOOD.id,
                "rule": "few",
                "when": "few-items",
                "subject": "task shop",
                "state": "recovered",
                "text": "it ended with 1 items; usual are 9",
                "labels": {"team": "a"},
                "since": "1970-01-01T00:00:01.000Z",
                "recovered": "1970-01-01T00:00:02.000Z",
                "recovery": "the next run ended well",
            }
        ],
        "more": 2,
        "dropped": 3,
        "note": "n",
    }


def test_slack_shows_no_markup_of_a_name():
    text = json.loads(messages.slack_body(message(ODD)))["text"]
    assert text == "[prod] FIRING f\nX-A: 1: task &lt;b&gt;&amp;\r\nBcc: x@y: it [31m failed !"


def test_a_mail_has_one_line_for_each_alert_and_no_header_of_a_name():
    mail = messages.mail(message(ODD, GOOD, more=1), "a@b", ["c@d", "e@f"])
    read = message_from_bytes(mail.as_bytes(), policy=policy.default)
    assert read["Subject"] == "[prod] 1 firing, 1 recovered"
    assert (read["To"], read["Bcc"], read["X-A"]) == ("c@d, e@f", None, None)
    assert "1 more follow in the next message" in read.get_content()
    assert messages.mail(message(ODD), "a@b", ["c@d"])["Subject"].startswith("[prod] FIRING f X-A")


def test_the_id_is_that_of_what_is_told():
    assert message(GOOD).id == message(GOOD, more=5).id != message(ODD).id


def test_a_signature_covers_the_time_and_the_body():
    signed = messages.signature("key", "3", b"{}")
    assert signed == "cbd42a4f91b99ca7b6490eea5ba88fcb53f058ee681856286f3a72e1c88e9865"
    assert signed != messages.signature("key", "4", b"{}")
    assert signed != messages.signature("other", "3", b"{}")
