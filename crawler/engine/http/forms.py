"""Requests that send data: as JSON, as a form, or as a form of a page that is filled in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from cssselect import HTMLTranslator

from crawler.engine.http import encoding_labels, form_bodies, form_controls
from crawler.engine.http.form_controls import Control
from crawler.engine.http.request import R, Request
from crawler.engine.http.response import Response

JSON_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/javascript, */*; q=0.01",
}
FORM_HEADERS = {"Content-Type": form_bodies.URLENCODED}
Pairs = Mapping[str, Any] | Iterable[tuple[str, Any]]
_FORMS = "//form[not(ancestor::template)]"
"""What is in a <template> is no part of the page (HTML standard, 4.12.3)."""
_CONTROL_TAGS = "descendant::textarea | descendant::select | descendant::input"


class JsonRequest(Request):
    """A request whose body is `data` as JSON. The method is POST unless another is given.

    `dumps_kwargs` are arguments of `json.dumps`; `replace(data=…)` uses them again.
    """

    attributes = (*Request.attributes, "dumps_kwargs")

    def __init__(
        self,
        *args: Any,
        data: Any = None,
        dumps_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.dumps_kwargs = {"sort_keys": True, **(dumps_kwargs or {})}
        if data is not None and kwargs.get("body") is None:
            kwargs["body"] = self._dumped(data)
            kwargs.setdefault("method", "POST")
        super().__init__(*args, **kwargs)
        for name, value in JSON_HEADERS.items():
            self.headers.setdefault(name, value)

    def replace(self, *, cls: type[R] | None = None, **changes: Any) -> Any:
        """A copy with some attributes changed. `data` makes another body."""
        data = changes.pop("data", None)
        if data is not None and changes.get("body") is None:
            changes["body"] = self._dumped(data)
        return super().replace(cls=cls, **changes)

    def _dumped(self, data: Any) -> str:
        return json.dumps(data, **self.dumps_kwargs)


class FormRequest(Request):
    """A request that sends `formdata`: in the body of a POST, otherwise in the query of the URL.

    If a value is a list, the field is sent once for each element.
    """

    def __init__(self, *args: Any, formdata: Pairs | None = None, **kwargs: Any) -> None:
        if formdata and kwargs.get("method") is None:
            kwargs["method"] = "POST"
        super().__init__(*args, **kwargs)
        if not formdata:
            return
        query = _encoded(formdata, self.encoding)
        if self.method == "POST":
            self.body = query.encode("ascii")
            for name, value in FORM_HEADERS.items():
                self.headers.setdefault(name, value)
        else:
            self.url = urlunsplit(urlsplit(self.url)._replace(query=query))

    @classmethod
    def from_response(
        cls,
        response: Response,
        formname: str | None = None,
        formid: str | None = None,
        formnumber: int = 0,
        formdata: Pairs | None = None,
        clickdata: Mapping[str, Any] | None = None,
        dont_click: bool = False,
        formxpath: str | None = None,
        formcss: str | None = None,
        **rest: Any,
    ) -> Self:
        """The request that a browser sends for a form of the page, filled in with `formdata`.

        The form is the one with `formname` or `formid`, the one around what `formxpath` or
        `formcss` finds, or the one with number `formnumber`. A field whose value in `formdata` is
        None is not sent. The request also sends the value of the button that is clicked: the first,
        or the one that `clickdata` names by its attributes or by `nr`, its number among the inputs.
        Form and button say where to, how, and in which encoding (HTML standard, 4.10.21.3).
        Raises ValueError if there is no such form or button, or if the form sends nothing.
        """
        if formcss is not None:
            formxpath = HTMLTranslator().css_to_xpath(formcss)
        form = _form(response, formname, formid, formnumber, formxpath)
        controls = form_controls.of_form(form)
        button = None if dont_click else _clicked(form, controls, clickdata)
        encoding = rest.setdefault("encoding", _encoding(form, response))
        given = list(formdata.items() if isinstance(formdata, Mapping) else formdata or ())
        names = {name for name, _ in given}
        sent = form_controls.fields(controls, button, encoding_labels.name(encoding))
        fields = [(name, value) for name, value in sent if name not in names]
        fields += _flat((name, value) for name, value in given if value is not None)
        method = _method(rest.pop("method", None) or _said(form, button, "method"), response)
        action = rest.pop("url", None) or (_said(form, button, "action") or "").strip()
        url = response.absolute(action) if action else response.url
        if method == "GET":
            url = urlunsplit(urlsplit(url)._replace(query=""))
        enctype = (_said(form, button, "enctype") or "").lower() if method == "POST" else ""
        return cls._of(url, method, form_bodies.with_line_breaks(fields), enctype, rest)

    @classmethod
    def _of(cls, url: str, method: str, fields: Pairs, enctype: str, rest: dict[str, Any]) -> Self:
        """The request with these fields in the form that the page asks for."""
        pairs = list(_flat(fields.items() if isinstance(fields, Mapping) else fields))
        if enctype == form_bodies.MULTIPART:
            body, content_type = form_bodies.multipart(pairs, rest["encoding"])
        elif enctype == form_bodies.PLAIN:
            body, content_type = form_bodies.plain(pairs, rest["encoding"]), enctype
        elif pairs or method == "GET":
            return cls(url, method=method, formdata=pairs, **rest)
        else:
            body, content_type = b"", form_bodies.URLENCODED
        made = cls(url, method=method, body=body, **rest)
        made.headers.setdefault("Content-Type", content_type)
        return made


def _encoded(data: Pairs, encoding: str) -> str:
    pairs = data.items() if isinstance(data, Mapping) else data
    return form_bodies.urlencoded(_flat(pairs), encoding)


def _flat(pairs: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """The pairs; one with a list as its value once for each element."""
    for name, value in pairs:
        for each in value if isinstance(value, (list, tuple, set)) else [value]:
            yield name, each


def _said(form: Any, button: Any, attribute: str) -> str | None:
    """What the button that is clicked says with its `form…` attribute, or else the form."""
    said: str | None = button.get(f"form{attribute}") if button is not None else None
    return said if said is not None else form.get(attribute)


def _method(said: Any, response: Response) -> str:
    method = str(said or "").strip().upper()
    if method == "DIALOG":
        raise ValueError(
            f"the form on {response.url} has method=dialog and sends nothing; allowed: a form with"
            " get or post, clickdata of a button with formmethod, or the argument method"
        )
    return method if method == "POST" else "GET"


def _encoding(form: Any, response: Response) -> str:
    """The encoding in which browsers send the form."""
    wanted = form.get("accept-charset")
    if wanted is None:
        chosen = response.encoding
    else:
        known = map(encoding_labels.codec, wanted.replace(",", " ").split())
        chosen = next(filter(None, known), "utf-8")
    return "utf-8" if chosen.lower().startswith(("utf-16", "utf-32", "utf_16")) else chosen


def _form(
    response: Response, name: str | None, id_: str | None, number: int, xpath: str | None
) -> Any:
    """The form element that the arguments name."""
    root = response.selector.root
    forms = root.xpath(_FORMS) if hasattr(root, "xpath") else []
    if not forms:
        raise ValueError(f"no form on {response.url}; allowed: a page with a <form>")
    for attribute, wanted in (("name", name), ("id", id_)):
        for form in forms:
            if wanted is not None and form.get(attribute) == wanted:
                return form
    if xpath is not None:
        return _form_around(root.xpath(xpath), xpath, response)
    if not -len(forms) <= number < len(forms):
        raise ValueError(
            f"formnumber: {number} is not allowed on {response.url};"
            f" allowed: up to {len(forms) - 1}"
        )
    return forms[number]


def _form_around(nodes: Any, xpath: str, response: Response) -> Any:
    element = nodes[0] if nodes else None
    while element is not None and element.tag != "form":
        element = element.getparent()
    if element is None:
        raise ValueError(f"no form around {xpath!r} on {response.url}; allowed: one inside a form")
    return element


def _clicked(form: Any, controls: list[Control], clickdata: Mapping[str, Any] | None) -> Any:
    """The button that is clicked; None if the form has none."""
    if clickdata is not None:
        return _button(form, controls, dict(clickdata))
    buttons = filter(form_controls.is_submitter, controls)
    return next((each.element for each in buttons if not each.is_disabled), None)


def _button(form: Any, controls: list[Control], clickdata: dict[str, Any]) -> Any:
    number = clickdata.pop("nr", None)
    inputs = form.xpath(f"{_CONTROL_TAGS} | descendant::button")
    if number is not None and number < len(inputs):
        return inputs[number]
    elements = dict.fromkeys([*form.iterdescendants(), *(each.element for each in controls)])
    found = [each for each in elements if _has(each, clickdata)]
    if len(found) != 1:
        raise ValueError(
            f"clickdata: {clickdata!r} is not allowed, {len(found)} elements have it;"
            " allowed: attributes that one button of the form has"
        )
    return found[0]


def _has(element: Any, attributes: Mapping[str, Any]) -> bool:
    """Whether an element has these attributes. Case means nothing in the value of `type`."""
    for name, value in attributes.items():
        has, wanted = element.get(name), str(value)
        if has != wanted and not (name == "type" and has and has.lower() == wanted.lower()):
            return False
    return True
