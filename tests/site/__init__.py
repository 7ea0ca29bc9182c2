"""A web server whose paths misbehave by name; it records what it was asked, and when."""

from tests.site.site import Hit, Site

__all__ = ["Hit", "Site"]
