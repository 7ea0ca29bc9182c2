"""Quotes, what is known of their authors, and the next page: the shape of the first tutorial.

Written for Scrapy, where the import says `import scrapy`. `python -m tests.site` serves the pages.
"""

import crawler as scrapy


class QuotesSpider(scrapy.Spider):
    name = "quotes"
    start_urls = ["http://127.0.0.1:8100/quotes/page/1/"]
    custom_settings = {"DOWNLOAD_DELAY": 0, "CONCURRENT_REQUESTS_PER_DOMAIN": 8}

    def parse(self, response):
        for quote in response.css("div.quote"):
            yield {
                "text": quote.css("span.text::text").get(),
                "author": quote.xpath("span/small/text()").get(),
                "tags": quote.css("div.tags a.tag::text").getall(),
            }
        yield from response.follow_all(css=".author + a", callback=self.parse_author)
        next_page = response.css("li.next a::attr(href)").get()
        if next_page is not None:
            yield response.follow(next_page, callback=self.parse)

    def parse_author(self, response):
        def text(query):
            return response.css(query).get(default="").strip()

        self.logger.info("Author page %s", response.url)
        yield {
            "name": text("h3.author-title::text"),
            "born": text(".author-born::text"),
            "depth": response.meta["depth"],
        }
