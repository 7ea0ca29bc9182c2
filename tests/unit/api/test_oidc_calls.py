"""Logins over HTTP and gRPC alike, and the commands that sign people in and out."""

import json
import re
import signal
import ssl
import stat
import subprocess
import sys
from contextlib import contextmanager

import click
import gevent
import grpc
import pytest
from click.testing import CliRunner
from gevent.pywsgi import WSGIServer

from crawler.api.failures import CODES
from crawler.api.oidc import loopback, sign_in
from crawler.api.oidc.people import OidcPeople
from crawler.api.oidc.provider import ask, discover
from crawler.api.tls import Certificates
from crawler.cli import kept_logins, token_file
from crawler.cli.base import commands
from crawler.cli.master import connected
from crawler.cli.token_file import Login
from crawler.clock import SystemClock
from crawler.errors import CrawlerError, Unavailable
from crawler.model.records import Spec
from crawler.settings.sections import ApiSettings, Settings
from tests.oidc_provider import CLIENT, Provider, new_key
from tests.tls import Folder
from tests.unit.api.fakes import CALL, FakeBackend, Master, client_of, running
from tests.waiting import PATIENCE_S


@pytest.fixture
def provider(monkeypatch, tmp_path):
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("CRAWLER_TOKEN", raising=False)
    with Provider() as provider:
        yield provider


@pytest.fixture
def settings(provider):
    """What lets the people of the provider in."""
    return ApiSettings(
        oidc_issuer=provider.issuer,
        oidc_client=CLIENT,
        oidc_roles={"crawl-operators": "operator"},
        oidc_scopes=["openid", "groups"],
    )


@pytest.fixture
def master(settings):
    """A master that leads, and lets the people of the provider in."""
    people = OidcPeople(settings, SystemClock())
    with running(Master(FakeBackend(), settings, people=people)) as (master,):
        master.follow(master.address)
        yield master


def by_http(master, token):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response = master.web.get("/crawler/resource", headers=headers)
    return response.status_code, response.json.get("message", "")


def by_grpc(master, token):
    with client_of(master, token=lambda: token) as client:
        try:
            client.nodes(CALL)
        except CrawlerError as error:
            return CODES[error.code][1], str(error)
    return 200, ""


@pytest.mark.parametrize("asked", [by_http, by_grpc])
def test_http_and_grpc_treat_logins_alike(provider, master, asked):
    assert asked(master, provider.token()) == (200, "")
    for token, status, told in (
        ("", 401, "crawler login"),
        (provider.token(aud="x"), 401, "claim aud"),
        (provider.token(exp=1), 401, "expired"),
        (provider.token(groups=[]), 403, "the claim groups"),
        ("a.b.c", 401, "no login"),
        ("a.b", 401, "not valid here"),
    ):
        found, message = asked(master, token)
        assert (found, told in message) == (status, True), message
    provider.keys = [new_key("ec-2", "EC")]
    assert asked(master, provider.token())[0] == 401


@pytest.mark.parametrize("asked", [by_http, by_grpc])
def test_a_login_cannot_be_checked_before_the_provider_was_there(provider, master, asked):
    token = provider.token()
    provider.stop()
    status, message = asked(master, token)
    assert (status, "cannot be checked now" in message) == (503, True)


def test_somebody_who_signed_in_may_what_the_role_may(provider, master):
    with client_of(master, token=provider.token) as client:
        client.add(Spec("a"), CALL)
        with pytest.raises(CrawlerError, match=r"alice@example.org \(oidc\) has the role operator"):
            client.drain("2", CALL)
    assert master.election.backend.calls[-1].caller.name == "alice@example.org (oidc)"


def test_everybody_may_ask_where_to_sign_in_and_learns_no_more(provider, master):
    with grpc.insecure_channel(master.address) as channel:
        ask = channel.unary_unary("/CrawlerMaster/GetSignIn")
        told = ask(b"")
    assert provider.issuer.encode() in told
    with client_of(master) as client:
        found = client.sign_in(CALL)
    assert (found.issuer, found.client, found.scopes) == (
        provider.issuer,
        CLIENT,
        ["openid", "groups"],
    )


def run(*arguments, master=None, said=None):
    """Run a command. A login goes on without a question, unless something is `said` to it."""
    where = ["--master", master.address] if master else []
    where += ["--yes"] if arguments[0] == "login" and said is None else []
    return CliRunner().invoke(commands, [*arguments, *where], input=said)


def opens(monkeypatch, provider, then=lambda url: url):
    """Let the browser of the person open what the command wants."""
    pages = []
    monkeypatch.setattr("webbrowser.open", lambda url: pages.append(provider.browse(then(url))))
    return pages


def test_somebody_signs_in_with_a_browser_works_and_signs_out(provider, master, monkeypatch):
    pages = opens(monkeypatch, provider)
    done = run("login", master=master)
    assert done.exit_code == 0, done.output
    assert f"signed in at {provider.issuer}; commands renew it" in done.output
    assert pages[0].get(timeout=PATIENCE_S) == loopback.DONE.encode()
    assert "scope=openid+groups+offline_access" in done.output
    assert stat.S_IMODE(token_file.path().stat().st_mode) == 0o600
    assert run("tasks", master=master).exit_code == 0
    assert len(provider.refreshes) == 1
    assert run("logout", master=master).output == f"signed out of {provider.issuer}\n"
    assert not provider.refreshes
    assert "crawler login" in str(run("tasks", master=master).exception)
    assert "nobody is signed in" in str(run("logout", master=master).exception)


def test_an_expired_login_is_renewed_and_each_refresh_token_is_used_once(
    provider, master, monkeypatch
):
    opens(monkeypatch, provider)
    provider.lifetime_s = 5  # it ends so soon that the next command renews it
    assert run("login", master=master).exit_code == 0
    provider.lifetime_s = 3600
    first = token_file.kept_for([master.address])
    assert run("tasks", master=master).exit_code == 0
    second = token_file.kept_for([master.address])
    assert second.token != first.token
    assert second.refresh != first.refresh
    assert run("tasks", master=master).exit_code == 0
    assert token_file.kept_for([master.address]) == second
    token_file.keep([master.address], first)
    told = str(run("tasks", master=master).exception)
    assert "your login has ended: " in told
    assert "invalid_grant" in told
    provider.stop()
    told = str(run("tasks", master=master).exception)
    assert "your login has expired and cannot be renewed now: the OpenID provider gives" in told


def test_a_command_that_goes_on_for_long_renews_its_login(provider, master, monkeypatch):
    opens(monkeypatch, provider)
    provider.lifetime_s = 5
    assert run("login", master=master).exit_code == 0
    with click.Context(commands), connected(master.address) as client:
        shown = []
        for _ in range(2):
            client.nodes(CALL)
            shown.append(token_file.kept_for([master.address]).refresh)
    assert shown[0] != shown[1]


def test_somebody_signs_in_with_a_code_on_another_device(provider, master, monkeypatch):
    pauses = []

    def sleep(pause_s):
        pauses.append(pause_s)
        provider.typed = len(pauses) > 2

    monkeypatch.setattr("crawler.cli.login.time.sleep", sleep)
    done = run("login", "--device", master=master)
    assert done.exit_code == 0, done.output
    assert re.search(
        rf"open {provider.issuer}/type\?user_code=(\S+) in any browser, and type: \1", done.output
    )
    assert pauses == [1, 1, 1]
    assert run("tasks", master=master).exit_code == 0


@pytest.mark.parametrize("options", [[], ["--device"]])
def test_whom_the_provider_refuses_is_told_why(provider, master, monkeypatch, options):
    opens(monkeypatch, provider)
    monkeypatch.setattr("crawler.cli.login.time.sleep", lambda pause_s: None)
    provider.is_refused = True
    told = str(run("login", *options, master=master).exception)
    assert told.startswith("the provider let nobody in: access_denied")
    assert token_file.kept_for([master.address]) == ""


def test_somebody_without_a_role_learns_that_at_once(provider, master, monkeypatch):
    opens(monkeypatch, provider)
    provider.person["groups"] = ["staff"]
    told = str(run("login", master=master).exception)
    assert "the claim groups of the login has none of the values" in told


def test_an_answer_to_another_login_is_none_to_this_one(provider, master, monkeypatch):
    """Whoever lures the browser to the port brings no code of theirs in."""
    refused = []

    def then(url):
        back = re.search("redirect_uri=([^&]+)", url)[1]
        back = back.replace("%3A", ":").replace("%2F", "/")
        lured = provider.browse(f"{back}?code=theirs&state=guessed")
        lured.join(PATIENCE_S)
        refused.append(lured.exception.code)
        return url

    def open_later(url):
        gevent.spawn(lambda: provider.browse(then(url)))

    monkeypatch.setattr("webbrowser.open", open_later)
    assert run("login", master=master).exit_code == 0
    assert refused == [400]


def test_a_code_without_the_secret_of_its_login_is_worth_nothing(provider):
    found = discover(provider.issuer)
    client = sign_in.Client(CLIENT)
    with loopback.Loopback() as server:
        flow = sign_in.CodeFlow(found, client, ["openid"], server.url)
        other = sign_in.CodeFlow(found, client, ["openid"], server.url)
        page = provider.browse(flow.url)
        query = server.wait(flow.is_ours, PATIENCE_S)
        page.join(PATIENCE_S)
    with pytest.raises(sign_in.SignInFailed, match="invalid_grant"):
        other.finish(query)
    with pytest.raises(sign_in.SignInFailed, match="another provider answered"):
        flow.finish({**query, "iss": "https://evil.example"})
    assert sign_in.expiry_of(flow.finish(query).id) > 0


def test_no_redirect_leads_away_from_tls(provider, tmp_path, monkeypatch):
    """Whoever is on the way could write what plain HTTP answers."""
    Folder(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    target = []

    def answer(environ, start_response):
        is_first = environ["PATH_INFO"] != "/there"
        where = [("Location", target[0])] if is_first else []
        start_response("302 Found" if is_first else "200 OK", where)
        return [b'{"keys": []}']

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "node.pem", tmp_path / "node.key")
    server = WSGIServer(("127.0.0.1", 0), answer, log=None, ssl_context=tls)
    server.start()
    try:
        url = f"https://127.0.0.1:{server.server_port}"
        target.append(f"{url}/there")
        assert ask(f"{url}/keys") == {"keys": []}
        target[0] = f"{provider.issuer}/keys"
        with pytest.raises(
            Unavailable, match=f"leads from https to '{provider.issuer}/keys', which"
        ):
            ask(f"{url}/keys")
        with pytest.raises(Unavailable, match="leads from https to"):
            ask(f"{url}/token", {"code": "x"})
    finally:
        server.stop()
    assert provider.asked == []


def test_nobody_comes_back_in_time(provider, master, monkeypatch):
    monkeypatch.setattr("crawler.cli.login.WAIT_S", 0)
    told = str(run("login", "--no-browser", master=master).exception)
    assert "nobody signed in within 0 s" in told
    assert "crawler login --device" in told


def test_issuer_and_client_may_be_given_and_belong_together(provider, master, monkeypatch):
    monkeypatch.setattr("crawler.cli.login.time.sleep", lambda pause_s: None)
    provider.typed = True
    given = ["--issuer", provider.issuer, "--client", CLIENT]
    assert run("login", "--device", *given, master=master).exit_code == 0
    assert run("login", *given[:2], master=master).exit_code == 2
    for wrong in ("http://id.example", "file:///etc", "https://"):
        told = str(run("login", "--issuer", wrong, "--client", CLIENT).exception)
        assert told.startswith(f"--issuer: '{wrong}' given; an https:// URL")
    with running(Master(FakeBackend())) as (other,):
        told = str(run("login", master=other).exception)
    assert "api.oidc_issuer is empty" in told


def test_a_provider_without_a_device_flow_is_told(provider, master):
    provider.document = {"device_authorization_endpoint": ""}
    told = str(run("login", "--device", master=master).exception)
    assert told == f"the provider {provider.issuer} offers no device_authorization_endpoint"


def test_what_is_no_entry_of_a_file_of_tokens_holds_nothing_and_is_not_lost(provider):
    token_file.path().parent.mkdir()
    text = '{"m:1": {"token": 1, "x": 2}, "n:1": 3}'
    token_file.path().write_text(text)
    token_file.path().chmod(0o600)
    assert [kept_logins.token_for(each) for each in ("m:1", "n:1")] == ["", ""]
    token_file.keep(["a:1"], "text")
    assert json.loads(token_file.path().read_text()) == {**json.loads(text), "a:1": "text"}


def test_a_login_goes_over_tls(provider, settings, tmp_path, monkeypatch):
    monkeypatch.setattr("crawler.cli.login.time.sleep", lambda pause_s: None)
    provider.typed = True
    folder = Folder(tmp_path)
    nodes = Settings(tls=folder.settings, folder=str(tmp_path))
    certificates = Certificates.of(nodes, SystemClock())
    people = OidcPeople(settings, SystemClock())
    secure = Master(FakeBackend(), settings, people=people, certificates=certificates)
    with running(secure):
        secure.follow(secure.address)
        told = str(run("login", "--device", master=secure).exception)
        assert "TLS" in told
        assert provider.asked == []
        trusts = ["--tls-ca", str(tmp_path / "ca.pem")]
        done = run("login", "--device", *trusts, master=secure)
        assert done.exit_code == 0, done.output
        assert run("tasks", *trusts, master=secure).exit_code == 0


def test_a_person_sees_where_a_master_sends_him_and_agrees(provider, master, monkeypatch):
    pages = opens(monkeypatch, provider)
    refused = run("login", master=master, said="n\n")
    told = f"crawler: {master.address} signs in at {provider.issuer} as client {CLIENT}\n"
    assert told in refused.output
    assert "nobody has signed in there for" in refused.output
    assert str(refused.exception).endswith("this was not confirmed; give --yes, if so")
    assert "not confirmed" in str(run("login", master=master, said="").exception)
    assert (pages, provider.asked) == ([], [])
    assert run("login", master=master, said="y\n").exit_code == 0
    again = run("login", master=master, said="")
    assert (again.exit_code, told in again.output) == (0, True), "it is known now"


def test_another_master_does_not_get_a_login_for_a_known_cluster_unasked(
    provider, master, monkeypatch
):
    opens(monkeypatch, provider)
    known = Login("t", 1.0, provider.issuer, CLIENT)
    token_file.keep(["prod:9091"], known)
    refused = run("login", master=master)  # though with --yes
    assert "is also that of prod:9091" in refused.output
    assert f"give --issuer {provider.issuer} --client {CLIENT}" in str(refused.exception)
    assert provider.asked == []
    given = ["--issuer", provider.issuer, "--client", CLIENT]
    assert run("login", *given, master=master, said="").exit_code == 0
    token_file.forget([master.address])
    assert run("login", master=master, said="y\n").exit_code == 0
    assert token_file.kept_for(["prod:9091"]) == known


def test_a_login_of_several_masters_is_renewed_for_all(provider, master, monkeypatch):
    """Its refresh token counts once."""
    opens(monkeypatch, provider)
    provider.lifetime_s = 5
    both = f"{master.address},127.0.0.1:1"
    assert run("login", "--master", both).exit_code == 0
    provider.lifetime_s = 3600
    assert run("tasks", master=master).exit_code == 0
    first, second = (token_file.kept_for([each]) for each in both.split(","))
    assert first == second


def test_a_login_needs_no_library_at_the_command_line():
    code = "import sys, crawler.cli.login; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"joserfc", "authlib", "cryptography"} & set(done.stdout.split())


@contextmanager
def process(master, *arguments):
    """A command in a process of its own, as at a terminal. It ends with the context."""
    command = [sys.executable, "-m", "crawler", *arguments, "--master", master.address]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def url_of(running):
    """The URL that the command wants to be opened."""
    return next(line.strip() for line in running.stderr if "/authorize?" in line)


def test_somebody_signs_in_at_a_terminal(provider, master):
    with process(master, "login", "--yes", "--no-browser") as running:
        provider.browse(url_of(running)).join(PATIENCE_S)
        said, errors = running.communicate(timeout=PATIENCE_S)
    assert (running.returncode, errors.strip()) == (0, "")
    assert said.startswith(f"signed in at {provider.issuer}")
    with process(master, "nodes") as running:
        said, errors = running.communicate(timeout=PATIENCE_S)
    assert (running.returncode, errors) == (0, "")


def test_a_login_that_waits_can_be_interrupted(provider, master):
    with process(master, "login", "--yes", "--no-browser") as running:
        assert url_of(running)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=PATIENCE_S)
    assert (running.returncode, "interrupted" in errors) == (130, True), errors
