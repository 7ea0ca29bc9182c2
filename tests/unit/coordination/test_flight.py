"""Flights: something runs ahead while its owner does something else."""

from collections.abc import Iterator

import gevent
from gevent.event import Event

from crawler.coordination.flight import Flight
from crawler.errors import OutcomeUnknown, Unavailable


def test_it_is_under_way_while_its_owner_goes_on() -> None:
    seen: list[str] = []

    def items() -> Iterator[str]:
        seen.append("off")
        yield "first"
        gevent.sleep(0)  # the owner goes on meanwhile
        seen.append("arrived")
        yield "second"

    flight = Flight("test", items())
    flight.take_off()
    assert seen == ["off"]
    flight.land()
    assert seen == ["off", "arrived"]
    assert flight.taken == ["first", "second"]
    assert flight.error is None


def test_what_it_took_is_told_even_if_an_error_ends_it() -> None:
    def items() -> Iterator[str]:
        yield "first"
        raise Unavailable("no answer")

    flight = Flight("test", items())
    flight.land()
    assert flight.taken == ["first"]
    assert isinstance(flight.error, Unavailable)


def test_one_that_was_cut_off_does_not_pass_for_one_that_arrived() -> None:
    def items() -> Iterator[str]:
        yield "first"
        Event().wait()

    for begun in (True, False):
        flight = Flight("test", items())
        if begun:
            flight.take_off()
        flight.abandon()
        flight.land()
        assert isinstance(flight.error, OutcomeUnknown)
