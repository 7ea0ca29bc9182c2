"""The crawl engine of a worker: spider, frontier, fetch, parse, sink. It knows no cluster.

Engine ─ crawl(spec, sink) ─► Crawl ─► Frontier ─► Hosts, Robots ─► Fetcher ─► Response
                                ▲                                               │
                                └──── requests ◄── callback of the Spider ◄─────┘──► items ─► Sink
"""
