"""A shop, crawled by rules: categories are followed, products are loaded into items.

Written for Scrapy, where the import says:

    from scrapy import Field, Item
    from scrapy.linkextractors import LinkExtractor
    from scrapy.loader import ItemLoader
    from scrapy.spiders import CrawlSpider, Rule

`python -m tests.site` serves the pages.
"""

from itemloaders.processors import Join, MapCompose, TakeFirst

from crawler import CrawlSpider, Field, Item, ItemLoader, LinkExtractor, Rule


class Product(Item):
    url = Field()
    name = Field(output_processor=TakeFirst())
    price = Field(input_processor=MapCompose(str.strip, float), output_processor=TakeFirst())
    features = Field(output_processor=Join("; "))
    category = Field()


class ShopSpider(CrawlSpider):
    name = "shop"
    allowed_domains = ["127.0.0.1"]
    start_urls = ["http://127.0.0.1:8100/shop/"]
    custom_settings = {
        "DOWNLOAD_DELAY": 0,
        "ROBOTSTXT_OBEY": False,
        "USER_AGENT": "shop-watch (+http://127.0.0.1/about)",
    }

    rules = (
        Rule(LinkExtractor(restrict_css="nav.categories")),
        Rule(LinkExtractor(allow=r"\?page=\d+$", restrict_css=".pages")),
        Rule(
            LinkExtractor(allow=r"/product/\d+", deny=r"/print"),
            callback="parse_product",
            cb_kwargs={"category": "any"},
            process_links="without_session",
        ),
    )

    def without_session(self, links):
        for link in links:
            link.url = link.url.split("?sid=")[0]
        return links

    def parse_product(self, response, category):
        loader = ItemLoader(Product(), response=response)
        loader.add_value("url", response.url.rsplit("/", 1)[1])
        loader.add_css("name", "h1::text")
        loader.add_css("price", ".price::text", re=r"[\d.]+")
        loader.add_xpath("features", "//ul[@class='features']/li/text()")
        loader.add_value("category", category)
        return loader.load_item()
