"""What a crawl has still to fetch: filtered, known once, by site, in memory and on disk."""
