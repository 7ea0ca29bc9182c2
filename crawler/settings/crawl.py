"""The section `crawl` of the settings, which spiders and tasks may override for themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crawler.settings.setting import setting

CACHE_OFF, CACHE_ALWAYS, CACHE_RFC9111 = "none", "always", "rfc9111"
"""What `cache` may be."""


@dataclass(frozen=True)
class Limit:
    """A token bucket of a host: requests take tokens, which come back at `events / per_s`."""

    events: int = setting(1, "So many requests …", least=1, most=1_000_000)
    per_s: float = setting(1.0, "… in that time.", unit="s", least=0.001, most=86_400)
    burst: int = setting(1, "Requests at once after a pause.", least=1, most=1_000_000)


@dataclass(frozen=True)
class CrawlSettings:
    """How a crawl behaves; a spider or a task may override each of these for itself."""

    user_agent: str = setting(
        "crawler/0.1", "User agent sent with each request; robots.txt is read for its first word."
    )
    user_agents: Sequence[str] = setting(
        [], "Further user agents, which take turns with it from request to request."
    )
    headers: Mapping[str, str] = setting(
        {},
        "Header lines of each request, to whichever host; in place of the usual ones.",
        keys="token",
        form="line",
    )
    robots: bool = setting(True, "Whether robots.txt is obeyed.")
    delay_s: float = setting(
        0.5, "Pause between two requests to one host.", unit="s", least=0, most=3600
    )
    delay_random: float = setting(
        0.0,
        "By what share the pause varies by chance; 0.5 is from half of it to half as much again.",
        least=0,
        most=1,
    )
    adaptive: float = setting(
        0.0,
        "Requests to be in flight to a host, by which the pause follows its latency; 0 is off.",
        least=0,
        most=1000,
    )
    max_delay_s: float = setting(
        60.0, "Longest pause that comes of latency.", unit="s", least=0, most=3600
    )
    limits: Sequence[Limit] = setting(
        [],
        "Rate limits of each host, all of which hold: a list of events, per_s and burst.",
    )
    host_concurrency: int = setting(2, "Requests in flight to one host.", least=1, most=1000)
    concurrency: int = setting(256, "Requests in flight of one task.", least=1, most=10_000)
    slow_concurrency: int = setting(
        256,
        "Requests in flight besides, to hosts that do not answer, so that others need not wait.",
        least=0,
        most=10_000,
    )
    max_wait_s: float = setting(
        3600.0,
        "A host that asks to be left alone for longer is not waited for: its URLs fail.",
        unit="s",
        least=0,
        most=86_400,
    )
    throttle_s: float = setting(
        60.0,
        "Cooldown of a host that answers 429 or 503 without Retry-After; doubles each time.",
        unit="s",
        least=0,
        most=86_400,
    )
    throttle_most_s: float = setting(86_400.0, "Longest such rest.", unit="s", least=0, most=86_400)
    throttle_forgiven_s: float = setting(
        1800.0,
        "After so long without such an answer the rests of a host are short again.",
        unit="s",
        least=0,
        most=86_400,
    )
    dead_after: int = setting(
        5, "Failed connections in a row after which a host rests.", least=1, most=1_000_000
    )
    dead_rest_s: float = setting(
        5.0,
        "First rest of a host that cannot be reached; doubles each time.",
        unit="s",
        least=0.001,
        most=3600,
    )
    dead_wait_s: float = setting(
        60.0,
        "Longest rest of such a host that is waited for; then its URLs fail.",
        unit="s",
        least=0,
        most=86_400,
    )
    timeout_s: float = setting(
        30.0, "Deadline of one request, redirects included.", unit="s", least=0.1, most=3600
    )
    connect_timeout_s: float = setting(
        10.0, "Deadline of a connection.", unit="s", least=0.1, most=600
    )
    first_byte_timeout_s: float = setting(
        20.0,
        "Deadline of the first byte of an answer, from the moment the request is sent.",
        unit="s",
        least=0.1,
        most=3600,
    )
    stall_timeout_s: float = setting(
        10.0,
        "An answer of which nothing comes for so long is broken off.",
        unit="s",
        least=0.1,
        most=3600,
    )
    max_body_bytes: int = setting(
        32_000_000,
        "Largest response body; a larger one is a failure.",
        unit="bytes",
        least=1,
        most=2**40,
    )
    max_download_bytes: int = setting(
        32_000_000,
        "Largest response body as it comes over the wire, packed or not.",
        unit="bytes",
        least=1,
        most=2**40,
    )
    content_types: Sequence[str] = setting(
        [],
        "Media types that are fetched, such as text/*; others are broken off at their headers. "
        "Empty takes all.",
    )
    fetcher: str = setting(
        "curl", "What fetches the pages; plugins bring others, see docs/hooks.md."
    )
    http_version: str = setting(
        "auto",
        "HTTP/2 where a site offers it over TLS, never, or always.",
        one_of=("auto", "1.1", "2"),
    )
    verify_tls: bool = setting(True, "Whether a site must have a certificate that is valid.")
    cookies: bool = setting(True, "Whether cookies are kept and sent.")
    proxies: Sequence[str] = setting(
        [],
        "Proxies that take turns, such as http://user:password@host:3128 or socks5h://host:1080.",
        form="proxy",
        secret=True,
    )
    proxy_rest_s: float = setting(
        60.0, "How long a proxy that failed is left out.", unit="s", least=0, most=86_400
    )
    http_user: str = setting("", "User by which a site is logged in to; empty is without.")
    http_password: str = setting("", "Password of that user.", secret=True)
    http_auth: str = setting(
        "basic", "How a site is logged in to (RFC 7617, RFC 7616).", one_of=("basic", "digest")
    )
    http_auth_domain: str = setting(
        "", "Host that is logged in to, and those below it; empty is that of the first request."
    )
    cache: str = setting(
        CACHE_OFF,
        "HTTP cache for work on a spider: none, after RFC 9111, or whatever came once.",
        one_of=(CACHE_OFF, CACHE_RFC9111, CACHE_ALWAYS),
    )
    cache_expires_s: float = setting(
        0.0,
        "With `always`, an answer older than this is fetched anew; 0 is never.",
        unit="s",
        least=0,
        most=10**9,
    )
    dns_ttl_s: float = setting(
        600.0, "How long the addresses of a host are kept.", unit="s", least=0, most=86_400
    )
    max_depth: int = setting(
        0, "How many links away from a start URL; 0 is without limit.", least=0, most=1_000_000
    )
    max_url_length: int = setting(
        2083,
        "Longest URL; 0 is without limit.",
        unit="characters",
        least=0,
        most=1_000_000,
    )
    max_path_repeats: int = setting(
        5,
        "How often a part of a path may follow on itself, as in /a/b/a/b/a/b; 0 is without limit.",
        least=0,
        most=1000,
    )
    max_queries_per_path: int = setting(
        0,
        "How many different queries of one path are fetched; 0 is without limit.",
        least=0,
        most=10**9,
    )
    max_pages_per_host: int = setting(
        0, "How many URLs of one host are fetched; 0 is without limit.", least=0, most=10**9
    )
    max_seen: int = setting(
        50_000_000,
        "How many URLs a task remembers, at 24 bytes each; those beyond are not fetched.",
        least=1000,
        most=10**9,
    )
    max_pending: int = setting(
        100_000,
        "Requests of a task that wait in memory; others wait on disk.",
        least=100,
        most=10**9,
    )
    deny_urls: Sequence[str] = setting(
        [], "Regular expressions; a URL in which one is found is not fetched.", form="regex"
    )
    strip_query: Sequence[str] = setting(
        [], "Parameters that are taken out of the query of URLs, as utm_* or gclid."
    )
    max_items: int = setting(
        0, "The crawl ends after so many items; 0 is never.", least=0, most=2**53
    )
    max_pages: int = setting(
        0, "The crawl ends after so many pages; 0 is never.", least=0, most=2**53
    )
    max_failures: int = setting(
        0, "The crawl ends after so many failures; 0 is never.", least=0, most=2**53
    )
    max_run_s: float = setting(
        0.0, "The crawl ends after this time; 0 is never.", unit="s", least=0, most=31_536_000
    )
    max_redirects: int = setting(10, "Redirects followed for one request.", least=0, most=100)
    meta_refresh: bool = setting(
        True, "Whether <meta http-equiv=refresh> is followed as a redirect, up to 100 s."
    )
    nofollow: bool = setting(
        False, "Whether links are left that are marked nofollow, or whose page is."
    )
    canonical: bool = setting(
        False, "Whether a page is left that names another, known one as its canonical URL."
    )
    retries: int = setting(2, "How often a failed request is repeated.", least=0, most=100)
    retry_delay_s: float = setting(
        1.0, "Pause before the first repetition; doubles each time.", unit="s", least=0, most=3600
    )
    retry_statuses: Sequence[int] = setting(
        [408, 429, 500, 502, 503, 504, 522, 524],
        "HTTP statuses that are tried again.",
        least=400,
        most=599,
    )
    log_stats_s: float = setting(
        60.0,
        "How often a line of the log tells how a crawl stands; 0 is never.",
        unit="s",
        least=0,
        most=86_400,
    )
    slow_callback_s: float = setting(
        0.5,
        "A callback that computes for longer without giving others a turn is reported; 0 is none.",
        unit="s",
        least=0,
        most=3600,
    )
    sinks: Sequence[str] = setting(
        ["jsonl"],
        "Where items go: jsonl, csv, parquet or sqlite are files below worker.items; other names "
        "are those of worker.databases.",
    )
    item_key: Sequence[str] = setting(
        [], "Fields that tell the items of a page apart; a database replaces an item it knows."
    )
    pipelines: Sequence[str] = setting(
        [], "Pipelines that items pass, as module:Class; a task cannot change these."
    )
