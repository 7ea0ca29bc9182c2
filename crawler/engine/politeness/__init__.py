"""When a host may be asked: its pace and its cooldowns, robots.txt, a crawl's slots."""
