"""The requests that a crawl still has to fetch: filtered, without duplicates, queued by site."""
