"""Behind a login: the form of the page is filled in, its token and all, and the orders are read.

Written for Scrapy, where the import says `from scrapy import FormRequest, Request, Spider`.
`python -m tests.site` serves the pages.
"""

from crawler import FormRequest, Request, Spider


class OrdersSpider(Spider):
    name = "orders"
    handle_httpstatus_list = [403]
    custom_settings = {"DOWNLOAD_DELAY": 0, "COOKIES_ENABLED": True}

    async def start(self):
        yield Request("http://127.0.0.1:8100/account/login", self.log_in)

    def log_in(self, response):
        return FormRequest.from_response(
            response,
            formid="login",
            formdata={"user": "reader", "password": "secret"},
            callback=self.logged_in,
        )

    def logged_in(self, response):
        if "wrong" in response.text:
            self.logger.error("The login failed")
            return
        for link in response.css("ul.orders a"):
            yield response.follow(
                link,
                self.parse_order,
                errback=self.failed,
                cb_kwargs={"number": int(link.css("::text").get())},
            )

    async def parse_order(self, response, number):
        if response.status == 403:
            yield {"order": number, "total": None}
            return
        yield {"order": number, "total": response.css(".total::text").get()}

    def failed(self, failure):
        yield {
            "order": failure.request.cb_kwargs["number"],
            "failed": failure.value.response.status,
        }
