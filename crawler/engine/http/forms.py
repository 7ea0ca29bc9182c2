"""Requests that send data: as JSON, as a form, or as a form of a page that is filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Self
from urllib.parse import urlencode, urlsplit, urlunsplit

from cssselect import HTMLTranslator

from crawler.engine.http.request import Request
from crawler.engine.http.response import Response

JSON_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/javascript, */*; q=0.01",
}
FORM_HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}
Pairs = Mapping[str, Any] | Iterable[tuple[str, Any]]

_RE = {"re": "http://exslt.org/regular-expressions"}
_INPUTS = "descendant::textarea | descendant::select | descendant::input"
_BUTTONS = (
    're:test(@type, "^(submit|image)$", "i")',
    'not(@type) or re:test(@type, "^submit$", "i")',
)
_CLICKABLE = f"descendant::input[{_BUTTONS[0]}] | descendant::button[{_BUTTONS[1]}]"
_UNSENT = re.compile("submit|image|reset", re.IGNORECASE)
_CHECKED = re.compile("checkbox|radio", re.IGNORECASE)


class JsonRequest(Request):
    """A request whose body is `data` as JSON. The method is POST unless another is given."""

    def __init__(
        self,
        *args: Any,
        data: Any = None,
        dumps_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if data is not None and kwargs.get("body") is None:
            kwargs["body"] = json.dumps(data, **(dumps_kwargs or {"sort_keys": True}))
            kwargs.setdefault("method", "POST")
        super().__init__(*args, **kwargs)
        for name, value in JSON_HEADERS.items():
            self.headers.setdefault(name, value)


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
        Raises ValueError if there is no such form or button.
        """
        if formcss is not None:
            formxpath = HTMLTranslator().css_to_xpath(formcss)
        form = _form(response, formname, formid, formnumber, formxpath)
        rest.setdefault("encoding", response.encoding)
        given = list(formdata.items() if isinstance(formdata, Mapping) else formdata or ())
        fields = [] if dont_click else _clicked(form, clickdata, {name for name, _ in given})
        fields = [*_kept(form, {name for name, _ in given}), *fields]
        fields += [(name, value) for name, value in given if value is not None]
        method = str(rest.pop("method", None) or form.get("method") or "GET").upper()
        action = rest.pop("url", None) or (form.get("action") or "").strip()
        return cls(
            response.urljoin(action) if action else response.url,
            method=method if method in ("GET", "POST") else "GET",
            formdata=fields,
            **rest,
        )


def _encoded(data: Pairs, encoding: str) -> str:
    pairs = data.items() if isinstance(data, Mapping) else data
    return urlencode(
        [
            (_bytes(name, encoding), _bytes(each, encoding))
            for name, value in pairs
            for each in (value if isinstance(value, (list, tuple, set)) else [value])
        ]
    )


def _bytes(value: Any, encoding: str) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(encoding, "xmlcharrefreplace")


def _form(
    response: Response, name: str | None, id_: str | None, number: int, xpath: str | None
) -> Any:
    """The form element that the arguments name."""
    root = response.selector.root
    forms = root.xpath("//form") if hasattr(root, "xpath") else []
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


def _kept(form: Any, given: set[str]) -> list[tuple[str, Any]]:
    """The fields of a form with the values of the page, except those given."""
    fields = ((element.get("name"), _value(element)) for element in form.xpath(_INPUTS))
    return [
        (name, value) for name, value in fields if name and name not in given and value is not None
    ]


def _value(element: Any) -> Any:
    """The value that a field of a form sends; None if it sends nothing."""
    if element.tag == "textarea":
        return "".join(element.itertext())
    if element.tag == "select":
        return _selected(element)
    kind = element.get("type", "text")
    if _UNSENT.fullmatch(kind):
        return None
    if _CHECKED.fullmatch(kind):
        return element.get("value", "on") if "checked" in element.attrib else None
    return element.get("value", "")


def _selected(select: Any) -> Any:
    options = select.xpath("descendant::option")
    chosen = [option for option in options if "selected" in option.attrib]
    if "multiple" in select.attrib:
        return [_option(option) for option in chosen]
    if not options:
        return None
    return _option(chosen[-1] if chosen else options[0])


def _option(option: Any) -> str:
    return str(option.get("value", (option.text or "").strip()))


def _clicked(
    form: Any, clickdata: Mapping[str, Any] | None, given: set[str]
) -> list[tuple[str, str]]:
    """The clicked button as a field, unless it has no name or is given."""
    buttons = form.xpath(_CLICKABLE, namespaces=_RE)
    if not buttons:
        return []
    button = buttons[0] if clickdata is None else _button(form, dict(clickdata))
    name = button.get("name")
    return [(name, button.get("value") or "")] if name and name not in given else []


def _button(form: Any, clickdata: dict[str, Any]) -> Any:
    number = clickdata.pop("nr", None)
    inputs = form.xpath(f"{_INPUTS} | descendant::button")
    if number is not None and number < len(inputs):
        return inputs[number]
    found = [
        element
        for element in form.iterdescendants()
        if all(element.get(name) == str(value) for name, value in clickdata.items())
    ]
    if len(found) != 1:
        raise ValueError(
            f"clickdata: {clickdata!r} is not allowed, {len(found)} elements have it;"
            " allowed: attributes that one button of the form has"
        )
    return found[0]
