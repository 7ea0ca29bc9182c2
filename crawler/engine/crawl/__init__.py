"""A crawl while it runs: what is sent, what an answer leads to, where items go, when it ends."""
