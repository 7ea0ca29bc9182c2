"""A cluster of real processes with closed doors, and a token for each kind of people."""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager

from tests.browser.chromium import Window
from tests.integration.lab import Lab
from tests.waiting import PATIENCE_S, eventually

TTL_S = 5
"""Long enough for a busy machine, short enough to wait for a killed worker."""
WORKERS = ("worker-1", "worker-2")
OURS = {"team": "ours"}
"""The labels of the namespace to which one token is bound."""
WISHES = {
    "admin": {"role": "admin"},
    "operator": {"role": "operator"},
    "viewer": {"role": "viewer"},
    "bound": {"role": "operator", "labels": OURS},
}


class House:
    """One master, two workers, and who may come in: `admin`, `operator`, `viewer`, and `bound`,
    an operator of the namespace OURS."""

    def __init__(self, lab):
        self.lab = lab
        self.tokens = {}
        self._cookies = {}

    @property
    def origin(self):
        """Where its page is."""
        return f"http://127.0.0.1:{self.lab['master-1'].http}"

    def begin(self):
        """Start it, and close its doors."""
        self.lab.start("master-1", *WORKERS)
        eventually(lambda: self.ask("GET", "/crawler/resource")[0] == 200, what="a leader")
        for name, wish in WISHES.items():
            made = self.told("POST", "/crawler/token", {"name": name, **wish})
            self.tokens[name] = made["text"]

    def ask(self, method, path, body=None):
        """Status and JSON of a request of the admin."""
        headers = {"Content-Type": "application/json"}
        if "admin" in self.tokens:
            headers["Authorization"] = f"Bearer {self.tokens['admin']}"
        address = f"127.0.0.1:{self.lab['master-1'].http}"
        connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def told(self, method, path, body=None):
        """The JSON of a request that must succeed, if there is no leader now, then in a moment."""

        def asked():
            status, answer = self.ask(method, path, body)
            assert status in (200, 503, 504), (status, answer)
            return [answer] if status == 200 else None

        return eventually(asked, what=f"{method} {path}")[0]

    def add(self, name, spider="slow", **more):
        """Add a task that crawls for ever, or once more see that it is there."""
        spec = self.lab.specification(name, spider) | more
        return self.told("POST", "/crawler/resource", spec)

    def runs(self, name):
        """The worker that runs a task now; None if nobody does."""
        return self.lab.running(name).get(name)

    def items(self, name):
        """How many items the present run of a task has told of."""
        return int(self.told("GET", f"/crawler/resource/{name}").get("counts", {}).get("items", 0))

    def settle(self):
        """No task, no schedule, and both workers at work: how each test begins."""
        self.lab.start(*WORKERS)
        for each in self.told("GET", "/crawler/schedule").get("schedules", ()):
            self.told("DELETE", f"/crawler/schedule/{each['name']}")
        for name in self.lab.resources():
            self.told("DELETE", f"/crawler/resource/{name}")
        eventually(
            lambda: self.lab.registered() == {"master-1", *WORKERS}, what="all are registered"
        )
        for node in self.told("GET", "/crawler/node")["nodes"]:
            if node.get("cordoned"):
                self.told("POST", f"/crawler/node/{node['id']}/uncordon")

    def window(self, browser, who, **options):
        """A window in which that one has signed in; nobody has if `who` is empty."""
        if who and who not in self._cookies:
            window = Window(browser, self.origin)
            sign_in(window, self.tokens[who])
            self._cookies[who] = window.context.storage_state()
            window.close()
        return Window(browser, self.origin, storage_state=self._cookies.get(who), **options)


def sign_in(window, token):
    """Fill in the form, and send it."""
    window.open("/dashboard/login")
    window.page.get_by_label("Token", exact=True).fill(token)
    window.page.get_by_role("button", name="Sign in").click()
    window.page.wait_for_url(lambda url: not url.endswith("/login"))


@contextmanager
def house_in(folder):
    """Such a cluster, until it is left."""
    with Lab(folder, ttl_s=TTL_S) as lab:
        house = House(lab)
        house.begin()
        yield house
