"""Has a Redis write its log anew, where the log may hold what the server could not read.

A loss of power may cut the log off within a transaction. The server drops that transaction when it
starts, but leaves its first commands in the log (Redis as of 7.0; valkey-io/valkey#4342). What is
written later lies behind them, and the start after that carries them out, too: half of a step.

A full disk may cut a write off. The server takes its bytes back (`ftruncate`), but not its place in
the file: a log that was written anew once is not open for appending (Redis 7.0 to 8.0). So what it
writes when there is room lies behind a gap of zeros, and it does not start with such a log.

A log that was written anew has neither.
"""

from __future__ import annotations

from typing import Any

from crawler.engine.frontier.store import StoreFailed


def renew(client: Any) -> None:
    """Have a server write its log anew, unless it has done so since it started. Call it after
    something was written: until the new log is there, that completes what lies before it."""
    told = client.execute_command("INFO", "persistence")
    if told["aof_last_rewrite_time_sec"] == -1:
        _begin(client, told)


def renew_after_full(client: Any) -> bool:
    """Have a server write its log anew after its disk was full. One that is under way will do.

    Returns whether that is seen to: it is too early as long as the disk is full. Raises StoreFailed
    if its last rewrite has failed: without room for a second log, each would fill the disk again.
    """
    told = client.execute_command("INFO", "persistence")
    if not told["aof_enabled"]:
        return True
    if told["aof_last_write_status"] != "ok":
        return False
    if told["aof_last_bgrewrite_status"] != "ok":
        raise StoreFailed("its last BGREWRITEAOF has failed; is there room for a second log?")
    _begin(client, told)
    return True


def _begin(client: Any, told: Any) -> None:
    is_under_way = told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"]
    if not told["aof_enabled"] or is_under_way:
        return
    try:
        client.execute_command("BGREWRITEAOF")
    except Exception as error:
        if "already in progress" not in str(error):  # another worker was faster
            raise
