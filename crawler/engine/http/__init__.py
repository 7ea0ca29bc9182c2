"""Requests, responses, and reading pages. This package knows no crawl and no network."""
