"""What these tests rest on: nothing that a page must not do goes unnoticed."""

import flask
import pytest
from gevent.pywsgi import WSGIServer

from tests.browser.chromium import PHONE
from tests.browser.looks import scrolls_sideways, violations

CSP = "default-src 'none'; script-src 'self'; connect-src http:; img-src data:"
WHOLE = """<!doctype html><html lang="en"><head><title>A page</title>
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">{head}</head>
<body><main><h1>A page</h1>{body}</main></body></html>"""
SCRIPTS = {
    "raises": "throw new Error('no such thing')",
    "rejects": "Promise.reject(new Error('nobody waits'))",
    "says": "console.error('a fault')",
    "warns": "console.warn('an old way')",
    "elsewhere": "fetch('http://192.0.2.1/').catch(() => 0)",
    "later": "setTimeout(() => { document.title = 'Later' }, 20)",
}
app = flask.Flask(__name__)


@app.get("/quiet")
def quiet():
    return answer(body="<p>Nothing to see.</p>")


@app.get("/does/<what>")
def does(what):
    return answer(head=f'<script type="module" src="/script/{what}"></script>')


@app.get("/script/<what>")
def script(what):
    return flask.Response(SCRIPTS[what], mimetype="text/javascript")


@app.get("/inline")
def inline():
    return answer(head="<script>document.title = 'Done'</script>")


@app.get("/hard")
def hard():
    return answer(body='<input type="text"><img class="wide" src="data:," width="900" height="9">')


def answer(**parts):
    page = WHOLE.format(**{"head": "", "body": "", **parts})
    return flask.Response(page, headers={"Content-Security-Policy": CSP})


@pytest.fixture(scope="module")
def origin(browser):
    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    server.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.stop()


@pytest.fixture
def window(opened, origin):
    return opened(origin, viewport=PHONE)


def test_a_page_that_does_nothing_wrong_is_told_of_in_no_way(window):
    assert window.open("/quiet") == 200
    assert window.page.title() == "A page"
    assert (violations(window.page), scrolls_sideways(window.page)) == ([], [])
    window.open("/does/later")
    window.page.wait_for_function("document.title === 'Later'")
    window.close()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/does/raises", "raised: .*no such thing"),
        ("/does/rejects", "raised: .*nobody waits"),
        ("/does/says", "error on the console: a fault"),
        ("/does/warns", "warning on the console: an old way"),
        ("/does/elsewhere", "asked another host: GET http://192.0.2.1/"),
        ("/inline", "error on the console: .*Content Security Policy"),
        ("/absent", "error on the console: .*404"),
    ],
)
def test_what_a_page_must_not_do_fails_its_test(window, path, told):
    window.open(path)
    window.page.evaluate("new Promise(done => setTimeout(done))")
    with pytest.raises(AssertionError, match=told):
        window.close()


def test_what_only_some_can_use_is_found(window):
    window.open("/hard")
    found = violations(window.page)
    assert {line.partition(":")[0] for line in found} == {"label", "image-alt"}, found
    (wide,) = scrolls_sideways(window.page)
    assert wide.startswith('<img class="wide"')
