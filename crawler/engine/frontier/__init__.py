"""The requests that a crawl still has to fetch: filtered, without duplicates, in a queue per
site."""
