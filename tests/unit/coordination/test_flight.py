"""Flights: something runs ahead while its owner does something else."""

from collections.abc import Iterator

import gevent

from crawler.coordination.flight import Flight
from crawler.errors import Unavailable


def test_it_is_under_way_while_its_owner_goes_on() -> None:
    seen: list[str] = []

    def items() -> Iterator[str]:
        seen.append("off")
        yield "first"
        gevent.sleep(0)  # the owner goes on meanwhile
        seen.append("arrived")
        yield "second"

    flight = Flight("test", items())
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
