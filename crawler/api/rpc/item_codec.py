"""Converts what is said about files of items to messages, and back."""

from __future__ import annotations

from crawler.model.item_files import ItemFolder, ItemFolders
from crawler.proto import crawler_pb2 as pb


def folder_message(folder: ItemFolder) -> pb.ItemFolder:
    """Return the files that one worker has."""
    files = [pb.ItemFile(path=path, size=size) for path, size in folder.sizes.items()]
    return pb.ItemFolder(node=folder.node, place=folder.place, files=files, moved=folder.moved)


def folder_from(message: pb.ItemFolder) -> ItemFolder:
    """Return the files that one worker has."""
    sizes = {each.path: each.size for each in message.files}
    return ItemFolder(message.node, message.place, sizes, message.moved)


def folders_message(found: ItemFolders) -> pb.ItemFolders:
    """Return the files that all workers have."""
    return pb.ItemFolders(folders=map(folder_message, found.folders), notes=found.notes)


def folders_from(message: pb.ItemFolders) -> ItemFolders:
    """Return the files that all workers have."""
    return ItemFolders([folder_from(each) for each in message.folders], list(message.notes))
