"""A worker in memory, for the pages that ask workers."""

from __future__ import annotations

from crawler.errors import NotFound, Unavailable
from crawler.model.item_files import ItemFolder
from crawler.model.logs import Passage, Piece, PieceKey


class FakeWorker:
    """Tells of one task what a test gives it. It is its own `reach`."""

    def __init__(self, id="1"):
        self.id = id
        self.lines = {}
        """Lines of the log, by epoch."""
        self.files = {}
        """Files of items, by path."""
        self.told = None
        """The statistics."""
        self.offers = []
        """The spiders."""
        self.is_silent = False
        self.read = 0
        """How many bytes of logs were read."""

    def __call__(self, address):
        return self

    def log_pieces(self, name, call):
        self._answer()
        return [
            Piece(PieceKey(epoch), self.id, 1, 0, len(data)) for epoch, data in self.lines.items()
        ]

    def log_passage(self, name, id, key, begin, call):
        data = self.lines[key.epoch][begin:]
        self.read += len(data)
        return Passage(data, begin, False)

    def item_folders(self, name, call):
        self._answer()
        sizes = {path: len(data) for path, data in self.files.items()}
        return [ItemFolder("", "shelf", sizes)] if sizes else []

    def item_passage(self, name, path, begin, call, moved=""):
        return self.files[path][begin : begin + 65_536]

    def statistics(self, name, call):
        self._answer()
        if self.told is None:
            raise NotFound(f"no statistics of task {name!r} yet")
        return self.told

    def offered(self, call):
        self._answer()
        return self.offers

    def close(self):
        pass

    def _answer(self):
        if self.is_silent:
            raise Unavailable("it sleeps")
