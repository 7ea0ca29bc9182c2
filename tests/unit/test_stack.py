"""What a thread executes, as another one sees it."""

import gevent
from gevent import monkey

from crawler.hub import stack_of

_start = monkey.get_original("_thread", "start_new_thread")
_lock = monkey.get_original("_thread", "allocate_lock")


def test_another_thread_sees_what_this_one_executes_innermost_first():
    seen, done = [], _lock()
    done.acquire()
    this = gevent.get_hub().thread_ident

    def look():
        seen.append(stack_of(this))
        done.release()

    def inner():
        _start(look, ())
        done.acquire()

    inner()
    places = [place for place in seen[0] if place.file == __file__]
    assert [place.function for place in places] == [
        "inner",
        "test_another_thread_sees_what_this_one_executes_innermost_first",
    ]
    # The other thread may look before this one waits.
    assert places[0].line - inner.__code__.co_firstlineno in (1, 2)


def test_of_a_thread_that_is_not_there_nothing_is_seen():
    assert stack_of(1) == []
