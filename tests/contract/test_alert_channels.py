"""Messages of alerts against real servers: HTTP, HTTPS and mail with STARTTLS and a login."""

import json
import ssl
import subprocess
import sys
import time
from email import message_from_bytes, policy

import pytest
from gevent.event import Event
from gevent.pywsgi import WSGIServer

from crawler.alerts.messages import Message, signature
from crawler.alerts.sending import ID, SIGNATURE, TIMESTAMP, Unsent, send
from crawler.clock import SystemClock
from crawler.model.alerts import Alert, When
from crawler.settings.alerts import Channel
from tests.contract.certificates import issue
from tests.source import ROOT
from tests.waiting import eventually

ALERT = Alert("failed", When.FAILED, "task shop", "1", "it failed: <boom> & more", 10**18)
MESSAGE = Message("prod", [ALERT], 10**18)
CLOCK = SystemClock()


class Hook:
    """An HTTP server that keeps what it gets, and answers as it is told."""

    def __init__(self, **tls):
        self.got, self.status = [], "204 No Content"
        self.may_answer = Event()
        self.may_answer.set()
        self.server = WSGIServer(("127.0.0.1", 0), self, log=None, error_log=None, **tls)
        self.server.start()
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}/T0/hook?a=b"

    def __call__(self, environ, start):
        self.may_answer.wait()
        self.got.append((environ, environ["wsgi.input"].read()))
        start(self.status, [("Location", "http://127.0.0.1:1/")])
        return []


@pytest.fixture
def hook():
    made = Hook()
    yield made
    made.may_answer.set()
    made.server.stop(timeout=0)


def test_a_webhook_is_signed_and_the_receiver_can_check_it(hook):
    send(Channel(url=hook.url, key="k"), MESSAGE, 5.0, CLOCK)
    [(environ, body)] = hook.got

    def header(name):
        return environ[f"HTTP_{name.upper().replace('-', '_')}"]

    assert (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == ("POST", "/T0/hook")
    assert environ["QUERY_STRING"] == "a=b"
    assert header(SIGNATURE) == f"sha256={signature('k', header(TIMESTAMP), body)}"
    assert abs(time.time() - int(header(TIMESTAMP))) < 60
    assert header(ID) == json.loads(body)["id"] == MESSAGE.id


def test_slack_gets_its_form_and_no_signature(hook):
    send(Channel("slack", url=hook.url, key="k"), MESSAGE, 5.0, CLOCK)
    [(environ, body)] = hook.got
    text = "[prod] FIRING failed: task shop: it failed: &lt;boom&gt; &amp; more"
    assert json.loads(body) == {"text": text}
    assert not any("CRAWLER" in name for name in environ)


@pytest.mark.parametrize("status", ["302 Found", "400 Bad Request", "503 Busy"])
def test_any_other_answer_is_no_delivery(hook, status):
    hook.status = status
    with pytest.raises(Unsent, match=f"the answer was {status[:3]}"):
        send(Channel(url=hook.url), MESSAGE, 5.0, CLOCK)
    assert len(hook.got) == 1, "no redirect is followed"


def test_a_server_that_says_nothing_is_given_up(hook):
    hook.may_answer.clear()
    with pytest.raises(Unsent, match=r"no answer within 0\.2 s|timed out"):
        send(Channel(url=hook.url), MESSAGE, 0.2, CLOCK)


def test_a_server_that_is_not_there_is_told_without_its_address():
    with pytest.raises(Unsent, match="ConnectionRefusedError") as told:
        send(Channel(url="http://127.0.0.1:1/T0/open-sesame"), MESSAGE, 5.0, CLOCK)
    assert "sesame" not in str(told.value)


def test_https_is_verified(tmp_path):
    made = issue(tmp_path, "hook")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.cert, made.key)
    hook = Hook(ssl_context=tls)
    try:
        send(Channel(url=hook.url, ca=str(made.ca)), MESSAGE, 5.0, CLOCK)
        with pytest.raises(Unsent, match="SSLCertVerificationError"):
            send(Channel(url=hook.url), MESSAGE, 5.0, CLOCK)
    finally:
        hook.server.stop(timeout=0)
    assert len(hook.got) == 1


class Post:
    """A mail server in a process of its own."""

    def __init__(self, folder, *tls):
        self.folder = folder
        command = [sys.executable, "-m", "tests.smtp_server", str(folder), *map(str, tls)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
        self.port = int(self.process.stdout.readline())

    def channel(self, **more):
        to = ["ops@example.com", "me@example.com"]
        made = {"sender": "crawler@example.com", "to": to, "smtp": f"127.0.0.1:{self.port}"}
        return Channel("email", **{**made, **more})

    def mail(self):
        path = eventually(lambda: next(self.folder.glob("*.eml"), None))
        return message_from_bytes(path.read_bytes(), policy=policy.default)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    folder = tmp_path_factory.mktemp("post")
    made = issue(folder, "post")
    post = Post(folder, made.cert, made.key)
    post.ca = str(made.ca)
    yield post
    post.stop()


def test_a_mail_goes_over_starttls_after_a_login(secure):
    channel = secure.channel(user="crawler", password="open-sesame", ca=secure.ca)
    send(channel, MESSAGE, 10.0, CLOCK)
    mail = secure.mail()
    assert mail["Subject"] == "[prod] FIRING failed: task shop: it failed: <boom> & more"
    assert (mail["To-All"], mail["User"]) == ("ops@example.com,me@example.com", "crawler")
    assert mail["Message-ID"] == f"<{MESSAGE.id}@crawler>"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"user": "crawler", "password": "wrong"}, "refuses this user or its password"),
        ({"security": "none"}, "STARTTLS"),
        ({"ca": ""}, "SSLCertVerificationError"),
    ],
)
def test_what_a_mail_server_refuses_is_told(secure, more, why):
    with pytest.raises(Unsent, match=why) as told:
        send(secure.channel(**{"ca": secure.ca, **more}), MESSAGE, 10.0, CLOCK)
    assert "sesame" not in str(told.value)


def test_a_mail_goes_without_tls_if_the_settings_say_so(tmp_path):
    post = Post(tmp_path)
    try:
        send(post.channel(security="none"), MESSAGE, 10.0, CLOCK)
        assert post.mail()["From"] == "crawler@example.com"
    finally:
        post.stop()
