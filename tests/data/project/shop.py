"""A project of tests."""

from crawler import Spider


class Books(Spider):
    name = "books"
    start_urls = ("http://127.0.0.1:1/",)

    def parse(self, response):
        yield {"url": response.url}
