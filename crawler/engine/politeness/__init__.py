"""Decides when a request may be sent: host delays, cooldowns, robots.txt, and a crawl's slots."""
