"""The controls of a form, and what each of them sends (HTML standard, 4.10.21.4).

https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#constructing-form-data-set
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from crawler.engine.http.form_bodies import NoFile

Field = tuple[str, str]

_CONTROLS = ("input", "select", "textarea", "button")
_NEVER = ("datalist", "template")
"""Elements whose controls send nothing."""
_CHANGING = frozenset({*_NEVER, "form", "fieldset", "legend", "optgroup", "select"})
"""Elements in which something else holds than around them."""
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


@dataclass(slots=True)
class Control:
    """A control, and what the elements around it make of it."""

    element: Any
    form: Any
    """The form in which it stands."""
    is_disabled: bool
    """By itself, or by a <fieldset> around it."""
    is_sendable: bool
    """Whether it stands in no element whose controls send nothing."""
    direction: str
    """What the nearest `dir` says: `ltr`, `rtl` or `auto`. Empty without one."""
    options: list[tuple[Any, bool]] = field(default_factory=list)
    """The options of a <select>, each with whether it is disabled."""


@dataclass(slots=True)
class _Place:
    """What holds for all that stands in an element."""

    form: Any = None
    is_disabled: bool = False
    is_sendable: bool = True
    direction: str = ""
    select: Control | None = None
    is_group_disabled: bool = False
    fieldset: Any = None
    """The <fieldset> that this is, as long as its first <legend> has not come."""
    is_legend_disabled: bool = False
    """Whether controls are disabled in that <legend>."""


def of_form(form: Any) -> list[Control]:
    """The controls that belong to a form, in the order of the page.

    They stand in it, or name it by `form=`; those in it that name another belong to that.
    """
    root = form.getroottree().getroot()
    owner = next((each for each in root.iter("form") if each.get("id") == form.get("id")), form)
    named = form.get("id") if owner is form else None
    return [each for each in _controls(root) if _is_of(each, form, named)]


def _controls(root: Any) -> Iterator[Control]:
    """All controls of a page, found in one walk, however deep they stand."""
    places = [_Place()]
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "end":
            places.pop()
            continue
        place = _inside(element, places[-1])
        places.append(place)
        if element.tag in _CONTROLS:
            control = Control(
                element,
                place.form,
                place.is_disabled or "disabled" in element.attrib,
                place.is_sendable,
                place.direction,
            )
            if element.tag == "select":
                place.select = control
            yield control
        elif element.tag == "option" and place.select is not None:
            is_off = place.is_group_disabled or "disabled" in element.attrib
            place.select.options.append((element, is_off))


def _inside(element: Any, around: _Place) -> _Place:
    """What holds in an element: mostly what holds around it."""
    tag, said = element.tag, element.get("dir", "").strip().lower()
    direction = said if said in ("ltr", "rtl", "auto") else around.direction
    if tag not in _CHANGING and direction == around.direction:
        return around
    place = replace(around, direction=direction, fieldset=None)
    if tag == "form":
        place.form = element
    elif tag in _NEVER:
        place.is_sendable = False
    elif tag == "optgroup":
        place.is_group_disabled = "disabled" in element.attrib
    elif tag == "fieldset":
        place.fieldset, place.is_legend_disabled = element, around.is_disabled
        place.is_disabled = around.is_disabled or "disabled" in element.attrib
    elif tag == "legend" and element.getparent() is around.fieldset:
        around.fieldset = None
        place.is_disabled = around.is_legend_disabled
    return place


def kind(control: Any) -> str:
    """The type of a control, in lower case. An unknown type of an input is `text`."""
    if control.tag == "button":
        said = control.get("type", "submit").lower()
        return said if said in ("reset", "button") else "submit"
    if control.tag != "input":
        return str(control.tag)
    said = control.get("type", "text").lower()
    return said if said in _TYPES else "text"


def is_submitter(control: Control) -> bool:
    """Whether a click on it sends the form."""
    return kind(control.element) in ("submit", "image")


def fields(controls: list[Control], submitter: Any, encoding: str) -> Iterator[Field]:
    """What the controls of a form send, in their order. `submitter` is the button, or None."""
    groups = {each.element.get("name"): each for each in controls if _is_chosen_radio(each)}
    for control in controls:
        if control.element is submitter:
            yield from _of_submitter(control)
        elif control.is_disabled or not control.is_sendable:
            continue
        elif not _is_chosen_radio(control) or groups[control.element.get("name")] is control:
            yield from _of_control(control, encoding)


def _is_of(control: Control, form: Any, named: str | None) -> bool:
    owner = control.element.get("form")
    if owner is not None:
        return named is not None and owner == named
    return control.form is form


def _is_chosen_radio(control: Control) -> bool:
    return kind(control.element) == "radio" and "checked" in control.element.attrib


def _of_submitter(control: Control) -> Iterator[Field]:
    button = control.element
    name = button.get("name") or ""
    if kind(button) == "image":  # it sends where it was clicked
        prefix = f"{name}." if name else ""
        yield f"{prefix}x", "0"
        yield f"{prefix}y", "0"
    elif name:
        yield name, button.get("value") or ""
        yield from _direction(control)


def _of_control(control: Control, encoding: str) -> Iterator[Field]:
    element = control.element
    name, what = element.get("name"), kind(element)
    if not name or what in _BUTTONS:
        return
    if what == "select":
        yield from ((name, _option_value(option)) for option in _selected(control))
    elif what in _CHECKED:
        if "checked" in element.attrib:
            yield name, element.get("value", "on")
    elif what == "hidden" and name.lower() == "_charset_":
        yield name, encoding
    else:
        yield name, _value(element, what)
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


def _selected(control: Control) -> list[Any]:
    """The options of a <select> that are sent."""
    chosen = [each for each in control.options if "selected" in each[0].attrib]
    if "multiple" not in control.element.attrib:
        if not chosen and _size(control.element) == 1:
            chosen = [each for each in control.options if not each[1]][:1]
        chosen = chosen[-1:]
    return [option for option, is_off in chosen if not is_off]


def _size(select: Any) -> int:
    said = select.get("size", "").strip()
    return int(said) if said.isdecimal() and int(said) > 0 else 1


def _option_value(option: Any) -> str:
    value = option.get("value")
    return str(value) if value is not None else " ".join(_ALL_TEXT(option).split())


def _direction(control: Control) -> Iterator[Field]:
    """The field that says in which direction the text runs (`dirname`)."""
    element = control.element
    name = element.get("dirname")
    if name and (kind(element) in _DIRECTED or element.tag in ("textarea", "button")):
        yield name, _direction_of(control)


def _direction_of(control: Control) -> str:
    if control.direction != "auto":
        return control.direction or "ltr"
    letter = _LETTER.search(_value(control.element, kind(control.element)))
    return "rtl" if letter and _RIGHT_TO_LEFT.match(letter[0]) else "ltr"
