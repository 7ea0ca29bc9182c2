"""A lab whose workers share a Redis. Each has folders of its own, as if it were a machine."""

from contextlib import contextmanager

from tests.integration.lab import Lab


@contextmanager
def lab_in_redis(folder, redis, name, spider, delay_s):
    """Its nodes know one spider, and start with the configuration `name`."""
    with Lab(folder, delay_s=delay_s) as lab:
        lab.add_spider(name, spider, f"frontier: {{url: '{redis.url}'}}")
        yield lab
