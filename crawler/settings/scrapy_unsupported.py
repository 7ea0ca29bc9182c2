"""Scrapy's settings that have no effect here, and what to use instead of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NEEDLESS = frozenset(
    {
        "ASYNCIO_EVENT_LOOP",
        "BOT_NAME",
        "DEPTH_STATS_VERBOSE",
        "DNSCACHE_SIZE",
        "DOWNLOADER_STATS",
        "EDITOR",
        "FEED_TEMPDIR",
        "FORCE_CRAWLER_PROCESS",
        "HTTPCACHE_GZIP",
        "LOG_INSTALL_ROOT_HANDLER",
        "NEWSPIDER_MODULE",
        "REACTOR_THREADPOOL_MAXSIZE",
        "REQUEST_FINGERPRINTER_IMPLEMENTATION",
        "SPIDER_LOADER_WARN_ONLY",
        "SPIDER_MODULES",
        "STATS_DUMP",
        "TELNETCONSOLE_ENABLED",
        "TEMPLATES_DIR",
        "TWISTED_DNS_RESOLVER",
        "TWISTED_REACTOR",
        "TWISTED_REACTOR_ENABLED",
        "WARN_ON_GENERATOR_RETURN_VALUE",
    }
)
"""Settings that would change nothing here, so that no warning names them."""
_ON = frozenset({"true", "1"})
NEEDLESS_AT: Mapping[str, frozenset[str]] = {
    "COMPRESSION_ENABLED": _ON,
    "DNSCACHE_ENABLED": _ON,
    "FEED_EXPORT_ENCODING": frozenset({"utf-8", "utf8"}),
    "LOG_ENABLED": _ON,
    "LOG_LEVEL": frozenset({"debug", "info", "10", "20"}),
}
"""Settings that would change nothing here at these values: at Scrapy's own, or at what is done
here."""

TOLD_OF_SPIDERS = frozenset({"LOG_LEVEL"})
"""Settings that a spider is warned of at every value. On the command line they stand beside -L."""

_PLUGINS = "the engine has no middlewares; docs/hooks.md says what plugins may do"
_FEEDS = "-o FILE on the command line, or the setting sinks, says where items go"
_ITEMS = "a pipeline of the spider can do that; docs/items.md"
_LOGS = "-L LEVEL on the command line, or the section logs of config.yaml"
_MEMORY = "max_pending and max_seen bound the memory of a crawl"
_NOBODY = "nothing here does that"

INSTEAD: Mapping[str, str] = {
    "ADDONS": _PLUGINS,
    "AJAXCRAWL_ENABLED": "pages are fetched under their own URLs",
    "AUTOTHROTTLE_DEBUG": _LOGS,
    "AUTOTHROTTLE_START_DELAY": "delay_s is the pause from which adaptive starts",
    "AWS_": _FEEDS,
    "CLOSESPIDER_PAGECOUNT_NO_ITEM": "max_pages ends a crawl; min_items says whether it failed",
    "CLOSESPIDER_TIMEOUT_NO_ITEM": "max_run_s ends a crawl; min_items says whether it failed",
    "COMMANDS_MODULE": _NOBODY,
    "CONCURRENT_ITEMS": "items are written one after the other, in batches",
    "CONCURRENT_REQUESTS_PER_IP": "host_concurrency, for each host",
    "COMPRESSION_ENABLED": "the header Accept-Encoding: identity in headers asks for none",
    "COOKIES_DEBUG": _LOGS,
    "CRAWLSPIDER_FOLLOW_LINKS": "follow=False of a Rule",
    "DEFAULT_DROPITEM_LOG_LEVEL": "the first dropped item of each reason is logged",
    "DEFAULT_ITEM_CLASS": "default_item_class of an ItemLoader",
    "DEPTH_PRIORITY": "the priority of a Request",
    "DNSCACHE_ENABLED": "dns_ttl_s says how long the addresses of a host are kept",
    "DNS_RESOLVER": "the system's resolver is asked",
    "DNS_TIMEOUT": "connect_timeout_s covers the lookup of the host",
    "DOWNLOADER": _PLUGINS,
    "DOWNLOADER_": _PLUGINS,
    "DOWNLOADER_CLIENT": "verify_tls and http_version say how sites are reached",
    "DOWNLOAD_BIND_ADDRESS": "the system chooses the address; proxies name ways out",
    "DOWNLOAD_FAIL_ON_DATALOSS": "a broken answer is retried, and then fails",
    "DOWNLOAD_HANDLERS": "only http and https are fetched; a plugin may bring a fetcher",
    "DOWNLOAD_SLOTS": "delay_s, limits and host_concurrency hold for each host",
    "DOWNLOAD_TLS_": "verify_tls says whether certificates count",
    "DOWNLOAD_WARNSIZE": "max_body_bytes limits bodies; there is no warning before",
    "DUPEFILTER_": "a request is known by canonical URL, method and body; docs/spiders.md",
    "EXTENSIONS": _PLUGINS,
    "FEEDS": _FEEDS,
    "FEED_": _FEEDS,
    "FEED_EXPORT_ENCODING": "all files of items are UTF-8",
    "FILES_": _ITEMS,
    "FTP_": "only http and https are fetched",
    "GCS_": _FEEDS,
    "HTTP2_": "http_version says whether HTTP/2 is used",
    "HTTPX_": "http_version says whether HTTP/2 is used",
    "HTTPCACHE_": "cache is none, always or rfc9111; the answers lie in the folder http-cache",
    "HTTPERROR_": "handle_httpstatus_list of the spider, or of the meta of a request",
    "HTTPPROXY_": "proxies, and meta['proxy'] of a request",
    "IMAGES_": _ITEMS,
    "ITEM_PIPELINES_BASE": "ITEM_PIPELINES, or pipelines",
    "ITEM_PROCESSOR": "ITEM_PIPELINES, or pipelines",
    "JOBDIR": "crawler runspider FILE --resume FOLDER, or -s JOBDIR=FOLDER; docs/crawling-on.md",
    "LOG_": _LOGS,
    "MAIL_": _NOBODY,
    "MEMDEBUG_": _MEMORY,
    "MEMUSAGE_": _MEMORY,
    "METAREFRESH_": "meta_refresh follows a page that refreshes within 100 s",
    "PERIODIC_LOG_": "log_stats_s says how often statistics are logged",
    "PLAYWRIGHT_": "no browser is started; a plugin may bring a fetcher (docs/hooks.md)",
    "REDIRECT_PRIORITY_ADJUST": "a redirect keeps the priority of its request",
    "REFERRER_POLICIES": "REFERRER_POLICY names one of the policies of the W3C",
    "REMOTE_CONTROL_": "the API of the cluster; crawler --help",
    "REQUEST_FINGERPRINTER_": "a request is known by canonical URL, method and body",
    "RETRY_EXCEPTIONS": "failures that may pass are retried",
    "RETRY_GIVE_UP_LOG_LEVEL": "a page that fails is logged at the level info",
    "RETRY_PRIORITY_ADJUST": "a retry keeps the priority of its request",
    "ROBOTSTXT_PARSER": "robots.txt is read by RFC 9309",
    "SCHEDULER": "requests wait by priority, for each site; max_pending",
    "SCRAPER_SLOT_": _MEMORY,
    "SELENIUM_": "no browser is started; a plugin may bring a fetcher (docs/hooks.md)",
    "SPIDER_CONTRACTS": "crawler check --contracts knows Scrapy's own contracts",
    "SPIDER_LOADER_": "spiders of config.yaml names the spiders of a worker",
    "SPIDER_MIDDLEWARES": _PLUGINS,
    "SPLASH_": "no browser is asked; a plugin may bring a fetcher (docs/hooks.md)",
    "STATSMAILER_": _NOBODY,
    "STATS_CLASS": "crawler stats TASK, and /crawls of a worker",
    "TELNETCONSOLE_": "crawler stats TASK, and /crawls of a worker",
    "ZYTE_API_": "a plugin may bring a fetcher (docs/hooks.md)",
}
"""A setting of Scrapy, or the beginning of several names, and what to use instead.

The longest beginning counts.
"""


def is_needless(name: str, value: Any) -> bool:
    """Whether a setting of Scrapy with this value would change nothing here."""
    return name in NEEDLESS or str(value).lower() in NEEDLESS_AT.get(name, ())


def instead(name: str) -> str:
    """What to use instead of a setting of Scrapy. Empty if the setting is not known."""
    found = [begin for begin in INSTEAD if name == begin or name.startswith(begin)]
    return INSTEAD[max(found, key=len)] if found else ""


def told(name: str) -> str:
    """That a setting has no effect, and what to use instead, as a sentence for people."""
    advice = instead(name) or "neither this program nor Scrapy has such a setting"
    return f"the setting {name} has no effect: {advice}"
