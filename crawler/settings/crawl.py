"""The section `crawl` of the settings, which spiders and tasks may override for themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crawler.settings import forms
from crawler.settings.setting import setting

CACHE_OFF, CACHE_ALWAYS, CACHE_RFC9111 = "none", "always", "rfc9111"
"""The allowed values of `cache`."""
REFERRER_POLICIES = (
    "no-referrer",
    "no-referrer-when-downgrade",
    "same-origin",
    "origin",
    "strict-origin",
    "origin-when-cross-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
)
"""The allowed values of `referrer_policy`."""
REFERRER_POLICY = "strict-origin-when-cross-origin"
"""The usual policy of a crawl, as of a browser. Under any other, what pages say does not count."""


@dataclass(frozen=True)
class Limit:
    """A token bucket of a host: requests take tokens, which come back at `events / per_s`."""

    events: int = setting(1, "So many requests …", least=1, most=1_000_000)
    per_s: float = setting(1.0, "… in that time.", unit="s", least=0.001, most=86_400)
    burst: int = setting(1, "Requests at once after a pause.", least=1, most=1_000_000)


@dataclass(frozen=True, repr=False)
class CrawlSettings:
    """How a crawl behaves. A spider or a task may change each of these for itself."""

    user_agent: str = setting(
        "crawler/0.1",
        "User agent of each request.",
        form=forms.LINE,
    )
    user_agents: Sequence[str] = setting(
        [],
        "Further user agents. They take turns with user_agent from request to request.",
        form=forms.LINE,
    )
    headers: Mapping[str, str] = setting(
        {},
        "Header lines of each request, which replace the usual ones. Authorization, Cookie and "
        "Host go only to http_auth_domain.",
        keys=forms.HEADER_NAME,
        form=forms.LINE,
        pairs=forms.HEADER,
    )
    referrer_policy: str = setting(
        REFERRER_POLICY,
        "How much of the URL of its page a request tells in the header Referer (W3C Referrer "
        "Policy). Pages and links may change the usual policy, and no other one.",
        one_of=REFERRER_POLICIES,
    )
    robots: bool = setting(True, "Whether the crawl obeys robots.txt.")
    robots_user_agent: str = setting(
        "",
        "Product token whose rules in robots.txt apply. If empty, it is that of user_agent.",
        form=forms.LINE,
    )
    delay_s: float = setting(
        0.5, "Pause between two requests to one host.", unit="s", least=0, most=3600
    )
    delay_random: float = setting(
        0.0,
        "Share by which chance varies the pause. 0.5 varies it from half to one and a half times.",
        least=0,
        most=1,
    )
    adaptive: float = setting(
        0.0,
        "Requests that should be in flight to a host; the pause then follows the latency. 0 turns "
        "this off.",
        least=0,
        most=1000,
    )
    max_delay_s: float = setting(
        60.0, "Longest pause that follows from latency.", unit="s", least=0, most=3600
    )
    limits: Sequence[Limit] = setting(
        [],
        "Rate limits of each host: a list of events, per_s and burst. All of them hold.",
    )
    host_concurrency: int = setting(
        2, "Maximum number of requests in flight to one host.", least=1, most=1000
    )
    concurrency: int = setting(
        256, "Maximum number of requests in flight of one task.", least=1, most=10_000
    )
    slow_concurrency: int = setting(
        256,
        "Maximum number of requests in flight in addition, to hosts that do not answer, so that "
        "other hosts need not wait.",
        least=0,
        most=10_000,
    )
    max_wait_s: float = setting(
        3600.0,
        "Longest cooldown of a host for which the crawl waits. If a host asks for longer, its "
        "URLs fail.",
        unit="s",
        least=0,
        most=86_400,
    )
    throttle_s: float = setting(
        60.0,
        "Cooldown of a host that answers 429 or 503 without Retry-After. It doubles each time.",
        unit="s",
        least=0,
        most=86_400,
    )
    throttle_most_s: float = setting(
        86_400.0,
        "Longest cooldown after 429 or 503 without Retry-After.",
        unit="s",
        least=0,
        most=86_400,
    )
    throttle_forgiven_s: float = setting(
        1800.0,
        "After this time without 429 and 503, the cooldowns of a host start over.",
        unit="s",
        least=0,
        most=86_400,
    )
    dead_after: int = setting(
        5,
        "After this many failed connections in a row, a host gets a cooldown.",
        least=1,
        most=1_000_000,
    )
    dead_rest_s: float = setting(
        5.0,
        "First cooldown of a host that cannot be reached. It doubles each time.",
        unit="s",
        least=0.001,
        most=3600,
    )
    dead_wait_s: float = setting(
        60.0,
        "Longest cooldown of an unreachable host for which the crawl waits. After that its URLs "
        "fail.",
        unit="s",
        least=0,
        most=86_400,
    )
    timeout_s: float = setting(
        30.0, "Deadline of one request, including its redirects.", unit="s", least=0.1, most=3600
    )
    connect_timeout_s: float = setting(
        10.0, "Deadline for making a connection.", unit="s", least=0.1, most=600
    )
    first_byte_timeout_s: float = setting(
        20.0,
        "Deadline for the first byte of an answer, from the moment the request is sent.",
        unit="s",
        least=0.1,
        most=3600,
    )
    stall_timeout_s: float = setting(
        10.0,
        "The crawl cancels an answer when no byte arrives for this long.",
        unit="s",
        least=0.1,
        most=3600,
    )
    max_body_bytes: int = setting(
        32_000_000,
        "Largest response body. A larger one is a failure.",
        unit="bytes",
        least=1,
        most=2**40,
    )
    max_download_bytes: int = setting(
        32_000_000,
        "Largest response body as it arrives over the wire, packed or not.",
        unit="bytes",
        least=1,
        most=2**40,
    )
    content_types: Sequence[str] = setting(
        [],
        "Media types to fetch, such as text/*. The crawl cancels others at their headers. If "
        "empty, it takes all.",
        form=forms.WILDCARD,
    )
    fetcher: str = setting(
        "curl", "Name of the fetcher. Plugins bring further fetchers; see docs/hooks.md."
    )
    http_version: str = setting(
        "auto",
        "auto uses HTTP/2 where a site offers it over TLS, 1.1 never, 2 always.",
        one_of=("auto", "1.1", "2"),
    )
    verify_tls: bool = setting(True, "Whether a site must have a valid certificate.")
    cookies: bool = setting(True, "Whether the crawl keeps and sends cookies.")
    proxies: Sequence[str] = setting(
        [],
        "Proxies that take turns, such as http://user:password@host:3128 or socks5h://host:1080.",
        form=forms.PROXY,
        secret=True,
    )
    proxy_rest_s: float = setting(
        60.0, "How long the crawl leaves out a proxy that failed.", unit="s", least=0, most=86_400
    )
    http_user: str = setting(
        "",
        "User with which the crawl signs in to a site. If empty, it does not sign in.",
        form=forms.USER,
    )
    http_password: str = setting("", "Password of that user.", form=forms.LINE, secret=True)
    http_auth: str = setting(
        "basic",
        "How the crawl signs in: basic (RFC 7617) or digest (RFC 7616).",
        one_of=("basic", "digest"),
    )
    http_auth_domain: str = setting(
        "",
        "Host to which the crawl signs in and sends secret headers, and the hosts below it. If "
        "empty: the host of the first request; but the secrets of a worker's settings go to no "
        "host.",
        form=forms.LINE,
    )
    cache: str = setting(
        CACHE_OFF,
        "HTTP cache for work on a spider. none: off; rfc9111: by the rules of RFC 9111; always: "
        "keep every answer.",
        one_of=(CACHE_OFF, CACHE_RFC9111, CACHE_ALWAYS),
    )
    cache_expires_s: float = setting(
        0.0,
        "With `always`, the crawl fetches an answer again that is older than this; 0 means never.",
        unit="s",
        least=0,
        most=10**9,
    )
    dns_ttl_s: float = setting(
        600.0, "How long the worker keeps the addresses of a host.", unit="s", least=0, most=86_400
    )
    max_depth: int = setting(
        0,
        "How many links a page may be away from a start URL; 0 means no limit.",
        least=0,
        most=1_000_000,
    )
    max_url_length: int = setting(
        2083,
        "Longest URL; 0 means no limit.",
        unit="characters",
        least=0,
        most=1_000_000,
    )
    max_path_repeats: int = setting(
        5,
        "How often a part of a path may repeat, as in /a/b/a/b/a/b; 0 means no limit.",
        least=0,
        most=1000,
    )
    max_queries_per_path: int = setting(
        0,
        "How many different queries of one path the crawl fetches; 0 means no limit.",
        least=0,
        most=10**9,
    )
    max_pages_per_host: int = setting(
        0, "How many URLs of one host the crawl fetches; 0 means no limit.", least=0, most=10**9
    )
    max_seen: int = setting(
        50_000_000,
        "How many URLs a crawl remembers, at about 18 bytes each. Beyond that it fetches no new "
        "URL.",
        least=1000,
        most=10**9,
    )
    max_pending: int = setting(
        100_000,
        "Maximum number of requests of a task that wait in memory. Further requests wait on disk.",
        least=100,
        most=10**9,
    )
    deny_urls: Sequence[str] = setting(
        [],
        "Regular expressions of RE2; see docs/settings.md. The crawl does not fetch a URL in which "
        "one is found.",
        form=forms.REGEX,
    )
    strip_query: Sequence[str] = setting(
        [],
        "Parameters that the crawl removes from the query of URLs, such as utm_* or gclid.",
        form=forms.WILDCARD,
    )
    max_items: int = setting(
        0, "The crawl ends after this many items; 0 means never.", least=0, most=2**53
    )
    max_pages: int = setting(
        0, "The crawl ends after this many pages; 0 means never.", least=0, most=2**53
    )
    max_failures: int = setting(
        0, "The crawl ends after this many failures; 0 means never.", least=0, most=2**53
    )
    max_run_s: float = setting(
        0.0, "The crawl ends after this time; 0 means never.", unit="s", least=0, most=31_536_000
    )
    min_items: int = setting(
        0, "A crawl with fewer items has failed. 0 requires none.", least=0, most=2**53
    )
    max_failure_share: float = setting(
        1.0,
        "A crawl has failed if a larger share of its requests failed. 1 allows any.",
        least=0,
        most=1,
    )
    max_redirects: int = setting(
        10, "Maximum number of redirects that the crawl follows for one request.", least=0, most=100
    )
    meta_refresh: bool = setting(
        True, "Whether <meta http-equiv=refresh> within 100 s counts as a redirect."
    )
    nofollow: bool = setting(
        False, "Whether the crawl skips links that are marked nofollow, or whose page is."
    )
    canonical: bool = setting(
        False, "Whether the crawl skips a page whose canonical URL is another, known page."
    )
    retries: int = setting(2, "How often the crawl retries a failed request.", least=0, most=100)
    retry_delay_s: float = setting(
        1.0, "Pause before the first retry. It doubles each time.", unit="s", least=0, most=3600
    )
    retry_statuses: Sequence[int] = setting(
        [408, 429, 500, 502, 503, 504, 522, 524],
        "HTTP statuses after which the crawl retries.",
        least=400,
        most=599,
    )
    log_stats_s: float = setting(
        60.0,
        "How often the log shows the statistics of a crawl in one line; 0 means never.",
        unit="s",
        least=0,
        most=86_400,
    )
    slow_callback_s: float = setting(
        0.5,
        "The worker reports a callback that computes for longer without yielding; 0 means never.",
        unit="s",
        least=0,
        most=3600,
    )
    callback_limit_s: float = setting(
        30.0,
        "A callback that computes for longer without yielding is killed, with the process that "
        "crawls its task; 0 means never. It has an effect where worker.processes is not -1.",
        unit="s",
        least=0,
        most=86_400,
    )
    resume: bool = setting(
        True,
        "Whether a task that comes to a worker again goes on where it was. If not, it begins anew, "
        "and nothing is kept.",
    )
    sinks: Sequence[str] = setting(
        ["jsonl"],
        "Where items go. jsonl, json, csv, xml (each may end in .gz), parquet and sqlite are files "
        "below worker.items; other names are those of worker.databases.",
    )
    item_key: Sequence[str] = setting(
        [],
        "Fields that tell the items of a page apart. A database replaces an item with the same "
        "key.",
    )
    pipelines: Sequence[str] = setting(
        [], "Pipelines that items pass, given as module:Class. A task cannot change these."
    )
