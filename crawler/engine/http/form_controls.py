"""The controls of a form, and what each of them sends (HTML standard, 4.10.21.4).

https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#constructing-form-data-set
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from crawler.engine.http.form_bodies import NoFile

Field = tuple[str, str]

_CONTROLS = ("input", "select", "textarea", "button")
_NEVER = ("datalist", "template")
"""Elements whose controls send nothing."""
_BUTTONS = frozenset({"submit", "image", "reset", "button"})
_CHECKED = frozenset({"checkbox", "radio"})
_ONE_LINE = frozenset({"text", "search", "tel", "password", "url", "email"})
_DIRECTED = frozenset({*_ONE_LINE, "hidden"})
_TRIMMED = frozenset({"url", "email"})
_TYPES = frozenset(
    {
        *(_BUTTONS | _CHECKED | _DIRECTED),
        *("date", "month", "week", "time", "datetime-local", "number", "range", "color", "file"),
    }
)
_COLOR = re.compile("#[0-9a-fA-F]{6}")
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_LETTER = re.compile(r"[^\W\d_]")
_BREAK = re.compile("\r\n?|\n")
_ALL_TEXT = etree.XPath("string()", smart_strings=False)


def of_form(form: Any) -> list[Any]:
    """The controls that belong to a form, in the order of the page.

    They stand in it, or name it by `form=`; those in it that name another belong to that.
    """
    forms = list(form.getroottree().getroot().iter("form"))
    owner = next((each for each in forms if each.get("id") == form.get("id")), form)
    named = form.get("id") if owner is form else None
    controls = form.getroottree().getroot().iter(*_CONTROLS)
    return [each for each in controls if _is_of(each, form, named)]


def kind(control: Any) -> str:
    """The type of a control, in lower case. An unknown type of an input is `text`."""
    if control.tag == "button":
        said = control.get("type", "submit").lower()
        return said if said in ("reset", "button") else "submit"
    if control.tag != "input":
        return str(control.tag)
    said = control.get("type", "text").lower()
    return said if said in _TYPES else "text"


def is_submitter(control: Any) -> bool:
    """Whether a click on it sends the form."""
    return kind(control) in ("submit", "image")


def is_disabled(control: Any) -> bool:
    """Whether a control is disabled, by itself or by a <fieldset> around it."""
    if "disabled" in control.attrib:
        return True
    inner = control
    for outer in control.iterancestors():
        if outer.tag == "fieldset" and "disabled" in outer.attrib:
            in_use = next(outer.iterchildren("legend"), None)  # the first <legend> stays so
            if inner is not in_use:
                return True
        inner = outer
    return False


def fields(controls: list[Any], submitter: Any, encoding: str) -> Iterator[Field]:
    """What the controls of a form send, in their order. `submitter` is the button, or None."""
    groups = {each.get("name"): each for each in controls if _is_chosen_radio(each)}
    for control in controls:
        if control is submitter:
            yield from _of_submitter(control)
        elif is_disabled(control) or _is_within_never(control):
            continue
        elif not _is_chosen_radio(control) or groups[control.get("name")] is control:
            yield from _of_control(control, encoding)


def _is_of(control: Any, form: Any, named: str | None) -> bool:
    owner = control.get("form")
    if owner is not None:
        return named is not None and owner == named
    return next(control.iterancestors("form"), None) is form


def _is_within_never(control: Any) -> bool:
    return next(control.iterancestors(*_NEVER), None) is not None


def _is_chosen_radio(control: Any) -> bool:
    return kind(control) == "radio" and "checked" in control.attrib


def _of_submitter(button: Any) -> Iterator[Field]:
    name = button.get("name") or ""
    if kind(button) == "image":  # it sends where it was clicked
        prefix = f"{name}." if name else ""
        yield f"{prefix}x", "0"
        yield f"{prefix}y", "0"
    elif name:
        yield name, button.get("value") or ""
        yield from _direction(button)


def _of_control(control: Any, encoding: str) -> Iterator[Field]:
    name, what = control.get("name"), kind(control)
    if not name or what in _BUTTONS:
        return
    if what == "select":
        yield from ((name, _option_value(option)) for option in _selected(control))
    elif what in _CHECKED:
        if "checked" in control.attrib:
            yield name, control.get("value", "on")
    elif what == "hidden" and name.lower() == "_charset_":
        yield name, encoding
    else:
        yield name, _value(control, what)
        yield from _direction(control)


def _value(control: Any, what: str) -> str:
    """The value of a control into which something is typed, as far as browsers keep it."""
    if what == "textarea":
        return _BREAK.sub("\n", "".join(control.itertext())).removeprefix("\n")
    value: str = control.get("value", "")
    if what in _ONE_LINE:
        value = value.replace("\n", "").replace("\r", "")
    if what in _TRIMMED:
        return value.strip()
    if what == "color":
        return value.lower() if _COLOR.fullmatch(value) else "#000000"
    if what in ("number", "range") and not _NUMBER.fullmatch(value):
        return "" if what == "number" else _middle(control)
    return NoFile() if what == "file" else value


def _middle(control: Any) -> str:
    """The value of a range that has none."""
    least, most = (
        float(said) if _NUMBER.fullmatch(said) else usual
        for said, usual in ((control.get("min", ""), 0.0), (control.get("max", ""), 100.0))
    )
    return f"{least if most < least else least + (most - least) / 2:g}"


def _selected(select: Any) -> list[Any]:
    """The options of a <select> that are sent."""
    options = list(select.iter("option"))
    chosen = [option for option in options if "selected" in option.attrib]
    if "multiple" not in select.attrib:
        if not chosen and _size(select) == 1:
            chosen = [option for option in options if not _is_off(option)][:1]
        chosen = chosen[-1:]
    return [option for option in chosen if not _is_off(option)]


def _size(select: Any) -> int:
    said = select.get("size", "").strip()
    return int(said) if said.isdecimal() and int(said) > 0 else 1


def _is_off(option: Any) -> bool:
    if "disabled" in option.attrib:
        return True
    group = next(option.iterancestors("optgroup"), None)
    return group is not None and "disabled" in group.attrib


def _option_value(option: Any) -> str:
    value = option.get("value")
    return str(value) if value is not None else " ".join(_ALL_TEXT(option).split())


def _direction(control: Any) -> Iterator[Field]:
    """The field that says in which direction the text runs (`dirname`)."""
    name = control.get("dirname")
    if name and (kind(control) in _DIRECTED or control.tag in ("textarea", "button")):
        yield name, _direction_of(control)


def _direction_of(control: Any) -> str:
    for element in (control, *control.iterancestors()):
        said = element.get("dir", "").strip().lower()
        if said in ("ltr", "rtl"):
            return str(said)
        if said == "auto":
            letter = _LETTER.search(_value(control, kind(control)))
            return "rtl" if letter and _RIGHT_TO_LEFT.match(letter[0]) else "ltr"
    return "ltr"
