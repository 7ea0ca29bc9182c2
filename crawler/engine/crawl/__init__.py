"""A running crawl: it sends requests, reads answers, writes items, and ends."""
