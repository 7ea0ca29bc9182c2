"""Items with declared fields, and loaders that fill them. Names and behaviour are Scrapy's.

A dict, a dataclass or an attrs class is an item too. These classes are for spiders that use them.
"""

from __future__ import annotations

import copy
from types import MappingProxyType
from typing import Any, ClassVar

import itemloaders
from itemadapter.adapter import DictAdapter, ItemAdapter
from parsel import Selector

from crawler.engine.http.response import Response


class Field(dict[str, Any]):
    """The metadata of a field: `serializer`, `input_processor`, `output_processor`, …"""


class _Fields(type):
    """Collects the fields of an item class: those of its body, and those of its bases.

    A body declares fields as attributes, or in a dict `fields`. Of a field with two declarations,
    the one of the class that Python asks first counts.
    """

    def __new__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> Any:
        own = dict(members.get("fields", {}))
        own |= {key: value for key, value in members.items() if isinstance(value, Field)}
        kept = {key: value for key, value in members.items() if key not in own and key != "fields"}
        made: Any = super().__new__(cls, name, bases, kept)
        made._own_fields = own
        made.fields = {}
        for each in reversed(made.__mro__):
            made.fields.update(vars(each).get("_own_fields", {}))
        return made


class Item(dict[str, Any], metaclass=_Fields):
    """A dict whose keys are the fields of its class, and no others."""

    fields: ClassVar[dict[str, Any]]
    """The fields by name."""

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__()
        self.update(*args, **values)

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self.fields:
            raise KeyError(_unknown(type(self), key))
        super().__setitem__(key, value)

    def update(self, *args: Any, **values: Any) -> None:
        """Update the item like a dict. Raises KeyError for a name that is no field."""
        for key, value in dict(*args, **values).items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Set a default like a dict. Raises KeyError for a name that is no field."""
        if key not in self:
            self[key] = default
        return self[key]

    def copy(self) -> Item:
        """An item of the same class with the same values."""
        return type(self)(self)

    def deepcopy(self) -> Item:
        """An item of the same class with copies of the values."""
        return copy.deepcopy(self)

    def __getattr__(self, name: str) -> Any:
        hint = f"; allowed: item[{name!r}]" if name in self.fields else ""
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{hint}")

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute of the spider's own, whose name begins with `_`."""
        if not name.startswith("_"):
            raise AttributeError(f"{name}: not allowed; allowed: item[{name!r}] = …")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self)!r})"


def _unknown(item_class: Any, name: str) -> str:
    allowed = ", ".join(item_class.fields)
    return f"{item_class.__name__} does not support field: {name}; allowed: {allowed}"


class _ItemAdapter(DictAdapter):
    """Gives loaders the metadata of an Item's fields."""

    @classmethod
    def is_item_class(cls, item_class: type) -> bool:
        return issubclass(item_class, Item)

    @classmethod
    def is_item(cls, item: Any) -> bool:
        return isinstance(item, Item)

    @classmethod
    def get_field_meta_from_class(
        cls, item_class: type, field_name: str
    ) -> MappingProxyType[str, Any]:
        fields: dict[str, Any] = getattr(item_class, "fields", {})
        if field_name not in fields:
            raise KeyError(_unknown(item_class, field_name))
        return MappingProxyType(fields[field_name])


ItemAdapter.ADAPTER_CLASSES = [_ItemAdapter, *ItemAdapter.ADAPTER_CLASSES]


class ItemLoader(itemloaders.ItemLoader):
    """Fills an item from a page with selectors and processors (package `itemloaders`)."""

    default_item_class = Item

    def __init__(
        self,
        item: Any = None,
        selector: Selector | None = None,
        response: Response | None = None,
        parent: Any = None,
        **context: Any,
    ) -> None:
        if selector is None and response is not None:
            selector = response.selector
        context.update(response=response)
        super().__init__(item=item, selector=selector, parent=parent, **context)
