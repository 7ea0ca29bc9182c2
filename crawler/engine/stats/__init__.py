"""Counts what a crawl does, and reports it."""
