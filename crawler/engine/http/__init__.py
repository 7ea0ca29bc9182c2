"""Requests, responses and what is read from a page. It knows no crawl and no network."""
