"""URLs of Redis: what they mean, what is refused, and that people see no password."""

import pytest

from crawler.settings.redis_url import RedisUrl, is_redis_url, parsed


@pytest.mark.parametrize(
    ("text", "meant", "shown"),
    [
        (
            "redis://localhost",
            RedisUrl("", False, "", "", [("localhost", 6379)], "", 0),
            "redis://localhost:6379/0",
        ),
        (
            "rediss://me:p%40ss@[::1]:7000/3",
            RedisUrl("", True, "me", "p@ss", [("::1", 7000)], "", 3),
            "rediss://[::1]:7000/3",
        ),
        (
            "redis://:secret@h:1/",
            RedisUrl("", False, "", "secret", [("h", 1)], "", 0),
            "redis://h:1/0",
        ),
        (
            "redis://me@h:1",
            RedisUrl("", False, "me", "", [("h", 1)], "", 0),
            "redis://h:1/0",
        ),
        (
            "redis+sentinel://a:1,b/mymaster/2",
            RedisUrl("+sentinel", False, "", "", [("a", 1), ("b", 26379)], "mymaster", 2),
            "redis+sentinel://a:1,b:26379/mymaster/2",
        ),
        (
            "rediss+cluster://u:p@a:1,b:2",
            RedisUrl("+cluster", True, "u", "p", [("a", 1), ("b", 2)], "", 0),
            "rediss+cluster://a:1,b:2",
        ),
    ],
)
def test_it_says_where_redis_is_and_people_see_no_password(text, meant, shown):
    assert parsed(text) == meant
    assert str(meant) == shown
    assert repr(meant) == f"RedisUrl({shown!r})"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "redis",
        "redis://",
        "redis:///0",
        "http://h:1",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:x",
        "redis://h:1/x",
        "redis://h:1/0/1",
        "redis://h:1,i:2/0",
        "redis://h:1 /0",
        "redis+sentinel://h:1",
        "redis+sentinel://h:1/service/x",
        "redis+cluster://h:1/0",
        "redis+cluster://h:1,",
        "redis+other://h:1",
        "redis://h:1?x=1",
    ],
)
def test_what_is_no_such_url_is_refused(text):
    assert not is_redis_url(text)


@pytest.mark.parametrize(
    "text",
    ["redis://:secret", "redis://me:secret", "redis://h:1,me:secret/0", "redis://:secret/x@h"],
)
def test_an_error_shows_no_password_that_stands_at_a_wrong_place(text):
    with pytest.raises(ValueError, match="not") as told:
        parsed(text)
    assert "secret" not in str(told.value)
