"""From a request to its answer: libcurl, DNS, proxies, cookies, the HTTP cache."""
