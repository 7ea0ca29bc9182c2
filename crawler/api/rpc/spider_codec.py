"""Converts what is told of spiders to messages, and back."""

from __future__ import annotations

from google.protobuf import json_format

from crawler.api import fields
from crawler.model.spiders import OfferedSpider, SpiderAbout, SpiderArgument, SpiderList
from crawler.proto import crawler_pb2 as pb


def list_message(found: SpiderList) -> pb.SpiderList:
    """Return spiders as a message."""
    message = pb.SpiderList()
    json_format.ParseDict({**fields.of_spider_list(found)}, message)
    return message


def list_from(message: pb.SpiderList) -> SpiderList:
    """Return the spiders of a message."""
    return SpiderList([_spider_from(each) for each in message.spiders], list(message.notes))


def _spider_from(message: pb.OfferedSpider) -> OfferedSpider:
    about = _about_from(message.about) if message.HasField("about") else None
    return OfferedSpider(message.name, message.project, about, list(message.nodes), message.differs)


def _about_from(message: pb.SpiderAbout) -> SpiderAbout:
    arguments = [_argument_from(each) for each in message.arguments]
    return SpiderAbout(message.about, arguments, message.takes_others)


def _argument_from(message: pb.SpiderArgument) -> SpiderArgument:
    default = None
    if message.HasField("default"):
        default = json_format.MessageToDict(message.default)
        if message.type == "integer" and isinstance(default, float):
            default = int(default)  # protobuf has one kind of number
    return SpiderArgument(message.name, message.type, default, message.required)
