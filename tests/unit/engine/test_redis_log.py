"""When a Redis is told to write its log anew."""

import pytest

from crawler.engine.frontier import redis_log
from crawler.engine.frontier.store import StoreFailed

SOUND = {
    "aof_enabled": 1,
    "aof_rewrite_in_progress": 0,
    "aof_rewrite_scheduled": 0,
    "aof_last_rewrite_time_sec": 0,
    "aof_last_write_status": "ok",
    "aof_last_bgrewrite_status": "ok",
}


class Server:
    def __init__(self, fault="", **told):
        self.fault, self.told, self.rewrites = fault, SOUND | told, 0

    def execute_command(self, command, *_):
        if command == "INFO":
            return self.told
        assert command == "BGREWRITEAOF"
        if self.fault:
            raise RuntimeError(self.fault)
        self.rewrites += 1


@pytest.mark.parametrize(
    ("told", "is_done", "rewrites"),
    [
        ({}, True, 1),
        ({"aof_last_rewrite_time_sec": -1}, True, 1),
        ({"aof_last_write_status": "err"}, False, 0),
        ({"aof_rewrite_in_progress": 1}, True, 0),
        ({"aof_rewrite_scheduled": 1}, True, 0),
        ({"aof_enabled": 0}, True, 0),
        ({"aof_enabled": 0, "aof_last_write_status": "err"}, True, 0),
    ],
)
def test_after_a_full_disk_the_log_is_written_anew_once_it_is_written_again(
    told, is_done, rewrites
):
    server = Server(**told)
    assert redis_log.renew_after_full(server) is is_done
    assert server.rewrites == rewrites


def test_a_server_without_room_for_a_second_log_is_not_asked_to_fill_the_disk_again():
    server = Server(aof_last_bgrewrite_status="err")
    with pytest.raises(StoreFailed, match="is there room for a second log"):
        redis_log.renew_after_full(server)
    assert server.rewrites == 0


def test_two_workers_that_ask_at_once_are_no_fault_and_another_refusal_is():
    told = "Background append only file rewriting already in progress"
    assert redis_log.renew_after_full(Server(told))
    with pytest.raises(RuntimeError, match="NOPERM"):
        redis_log.renew_after_full(Server("NOPERM no permissions"))


@pytest.mark.parametrize(("last_s", "rewrites"), [(-1, 1), (0, 0)])
def test_after_a_start_the_log_is_written_anew_once(last_s, rewrites):
    server = Server(aof_last_rewrite_time_sec=last_s)
    redis_log.renew(server)
    assert server.rewrites == rewrites
