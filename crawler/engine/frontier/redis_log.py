"""Has a Redis write its log anew, once after each of its starts.

A loss of power may cut the log off within a transaction. The server drops that transaction when it
starts, but leaves its first commands in the log (Redis as of 7.0; valkey-io/valkey#4342). What is
written later lies behind them, and the start after that carries them out, too: half of a step. A
log that was written anew has no such rest.
"""

from __future__ import annotations

from typing import Any


def renew(client: Any) -> None:
    """Have a server write its log anew, unless it has done so since it started. Call it after
    something was written: until the new log is there, that completes what lies before it."""
    told = client.execute_command("INFO", "persistence")
    is_under_way = told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"]
    if told["aof_enabled"] and told["aof_last_rewrite_time_sec"] == -1 and not is_under_way:
        client.execute_command("BGREWRITEAOF")
