"""The demo's catalogue and its robots rules."""

import subprocess
import sys
import zlib
from collections import Counter

import pytest
from protego import Protego

from crawler.demo.bookshop import Bookshop
from crawler.demo.catalogue import Route, all_books
from crawler.demo.pages import render
from crawler.demo.robots import allowed, robots_txt

_FINGERPRINT = """
from crawler.demo.catalogue import all_books
import zlib
print(zlib.crc32(repr(all_books()).encode()))
"""


def test_every_process_has_the_same_books():
    here = zlib.crc32(repr(all_books()).encode())
    command = [sys.executable, "-c", _FINGERPRINT]
    # Another process, as it has another seed for the hashes of strings.
    there = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert int(there.stdout) == here


def test_books_differ_in_isbn_address_and_title_within_a_department():
    books = all_books()
    assert len(books) >= 1000
    assert len({book.isbn for book in books}) == len(books)
    assert len({book.address for book in books}) == len(books)
    assert len({(book.department, book.title) for book in books}) == len(books)


def test_an_isbn_has_a_valid_check_digit():
    for book in all_books():
        total = sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(book.isbn))
        assert len(book.isbn) == 13
        assert total % 10 == 0


def test_some_books_stand_on_two_shelves():
    shelves = Counter(len(book.categories) for book in all_books())
    assert shelves[2] > 100
    assert set(shelves) == {1, 2}


def test_reachable_books_are_those_whose_route_is_open():
    shop = Bookshop()
    open_routes = {Route.LISTED, Route.MOVED, Route.MOVED_TWICE, Route.OPEN_ACCESS}
    by_route = {book.id for book in shop.books.values() if book.route in open_routes}
    assert shop.reachable_books() == by_route
    assert len(by_route) >= 1000
    assert len(shop.books) > len(by_route)


def test_a_department_reaches_the_others_only_by_the_navigation():
    shop = Bookshop()
    assert shop.reachable_books("/department/travel/") == shop.reachable_books("/")
    assert shop.reachable_books("/book/no-such-book/") == set()


def test_a_robot_that_is_shut_out_reaches_nothing():
    assert Bookshop().reachable_books(user_agent="GreedyBot/2.0") == set()


@pytest.mark.parametrize("user_agent", ["crawler/0.1", "greedybot"])
def test_the_robots_rules_are_those_of_the_file(user_agent):
    rules = Protego.parse(robots_txt())
    addresses = list(Bookshop().pages)
    wrong = [
        address
        for address in addresses
        if allowed(address, user_agent) != rules.can_fetch(address, user_agent)
    ]
    assert wrong == []


def test_pages_are_small():
    sizes = sorted(len(render(page)) for page in Bookshop().pages.values() if page.status == 200)
    assert len(sizes) >= 1000
    assert 1_500 < sizes[0] <= sizes[-1] < 6_000
