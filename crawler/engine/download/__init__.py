"""Fetches requests: libcurl, DNS, proxies, cookies, the HTTP cache."""
