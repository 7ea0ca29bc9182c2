"""A browser without JavaScript: it follows redirects, keeps cookies, and sends forms."""

from __future__ import annotations

from lxml import html

PAGES = "/dashboard"


class Browser:
    def __init__(self, master, address="192.168.0.7", host="localhost"):
        self._base = f"http://{host}/"
        self._web = master.app.test_client()
        self._address = address
        self.answer = None
        self.page = None

    def open(self, path, method="GET", follow=True, headers=(), **more):
        """Go to a path; with `follow` to where it leads."""
        self.answer = self._web.open(
            path,
            method=method,
            base_url=self._base,
            follow_redirects=follow,
            environ_base={"REMOTE_ADDR": self._address},
            headers={"Accept": "text/html", **dict(headers)},
            **more,
        )
        self.answer.get_data()
        self.answer.close()
        is_page = self.answer.content_type.startswith("text/html")
        self.page = html.fromstring(self.answer.data) if is_page else None
        return self.answer

    def see(self, path=""):
        """Go to a page, and return its text."""
        self.open(f"{PAGES}{path}")
        return self.text

    @property
    def status(self):
        return self.answer.status_code

    @property
    def text(self):
        return " ".join(" ".join(self.page.find("body").itertext()).split())

    @property
    def told(self):
        """What the page says came of a form."""
        return [" ".join(each.text_content().split()) for each in self.page.cssselect(".told p")]

    @property
    def where(self):
        return self.answer.request.full_path.rstrip("?")

    def buttons(self):
        """The paths of the buttons that change something, with their words."""
        found = {}
        for button in self.page.cssselect("main button"):
            action = button.get("formaction") or (
                button.form_action if hasattr(button, "form_action") else _action(button)
            )
            found[" ".join(button.text_content().split())] = action
        return found

    @property
    def csrf(self):
        return self.page.cssselect("#act input[name=csrf]")[0].get("value")

    def send(self, path, follow=True, **fields):
        """Send a form of the page that is open."""
        fields = {"csrf": self.csrf, "back": self.where, **fields}
        return self.open(f"{PAGES}{path}", "POST", follow, data=fields)

    def watch(self, path):
        """Begin to watch a page: the answer, and its first event."""
        answer = self._web.get(
            f"{PAGES}{path}", environ_base={"REMOTE_ADDR": self._address}, buffered=False
        )
        found = ""
        for part in answer.response:
            found += part.decode()
            if "data: " in found:
                break
        answer.close()
        return answer, found

    def sign_in(self, token):
        self.see("/login")
        self.send("/login", token=token, back="")

    def cookies(self):
        return self.answer.headers.getlist("Set-Cookie")


def _action(button):
    form = button
    while form is not None and form.tag != "form":
        form = form.getparent()
    return "" if form is None else form.get("action", "")
