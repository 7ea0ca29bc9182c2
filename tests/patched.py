"""A pytest plugin that prepares the process as production does, before any test is imported."""

from crawler.runtime import prepare

prepare()
