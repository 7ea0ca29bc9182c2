"""Flights: something runs ahead while its owner does something else."""

from collections.abc import Iterator

import gevent
import pytest

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
    assert flight.land()
    assert seen == ["off", "arrived"]
    assert list(flight.items()) == ["first", "second"]


def test_what_it_took_comes_before_the_error_that_ended_it() -> None:
    def items() -> Iterator[str]:
        yield "first"
        raise Unavailable("no answer")

    flight = Flight("test", items())
    assert not flight.land()
    taken = flight.items()
    assert next(taken) == "first"
    with pytest.raises(Unavailable):
        next(taken)
