"""The error of a database that does not answer."""

from crawler.errors import Unavailable


class Away(Unavailable):
    """The database of the history does not answer, or refuses."""
