"""What is counted of a crawl, and told of it."""
