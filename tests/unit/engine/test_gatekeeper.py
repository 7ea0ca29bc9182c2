"""Whether a request may be sent: what is asked, in which order."""

import pytest
from protego import Protego

from crawler.clock import ManualClock
from crawler.engine.frontier.frontier import Frontier
from crawler.engine.http.messages import FetchError
from crawler.engine.http.request import Request
from crawler.engine.politeness.gatekeeper import Gatekeeper, Park, Refuse, Send, WaitUntil
from crawler.engine.politeness.hosts import Hosts
from crawler.engine.politeness.robots_rules import Rules
from crawler.engine.politeness.slots import Slots
from crawler.settings.crawl import CrawlSettings
from tests.unit.engine.fakes import page


class Robots:
    """What robots.txt says."""

    def __init__(self, rules):
        self.known = rules
        self.asked = []

    def rules(self, origin):
        return self.known

    def ask(self, origin, ready):
        self.asked.append(origin)


class Asked:
    """A gatekeeper that is asked about one page, with what it asks the HTTP cache for."""

    def __init__(self, rules, answer=None, **settings):
        self.clock = ManualClock()
        self.settings = CrawlSettings(**{"delay_s": 1.0, "robots": True, **settings})
        self.hosts = Hosts(self.clock, lambda: 0.0)
        self.looked_up = []
        self.answer = answer
        frontier = Frontier(self.settings, self.clock.monotonic)
        frontier.admit(Request("http://h/a"), 0)
        self.queue = frontier.due()
        robots, slots = Robots(rules), Slots(8, 0)
        self.robots = robots
        self.keeper = Gatekeeper(self.settings, self.hosts, robots, slots, self.clock)

    def verdict(self):
        return self.keeper.ask(self.queue, self.stored)

    def stored(self, job):
        self.looked_up.append(job.url)
        return self.answer


FORBIDS = Rules(Protego.parse("User-agent: *\nDisallow: /"))


def test_an_allowed_page_is_sent_and_the_next_one_waits_for_the_delay():
    asked = Asked(Rules())
    assert asked.verdict() == Send()
    assert asked.verdict() == Park(), "until it is on the wire"
    asked.hosts.went_out("h")
    assert asked.verdict() == WaitUntil(asked.clock.monotonic() + 2.0)


def test_a_host_that_is_left_alone_is_asked_again_when_its_cooldown_is_over():
    asked = Asked(Rules(), page())
    asked.hosts.cooldowns.throttled("h", asked.clock.monotonic(), 5.0, asked.settings)
    assert asked.verdict() == WaitUntil(asked.clock.monotonic() + 5.0)
    assert asked.looked_up == []


def test_a_site_whose_rules_are_not_known_is_parked_while_they_are_fetched():
    asked = Asked(None, page())
    assert asked.verdict() == Park()
    assert (asked.robots.asked, asked.looked_up) == (["http://h"], [])


@pytest.mark.parametrize(
    ("rules", "reason"), [(FORBIDS, ""), (Rules(trouble="timeout"), "timeout")]
)
def test_a_page_that_robots_txt_forbids_is_not_looked_up_in_the_cache_either(rules, reason):
    """To look it up would take a turn of the user agents, cookies and the login for nothing."""
    asked = Asked(rules, page())
    verdict = asked.verdict()
    assert isinstance(verdict, Refuse)
    assert (verdict.error.reason if isinstance(verdict.error, FetchError) else "") == reason
    assert asked.looked_up == []


def test_a_stored_answer_takes_no_turn_of_its_host():
    answer = page()
    asked = Asked(Rules(), answer)
    assert asked.verdict() == asked.verdict() == Send(answer)
    assert asked.looked_up == ["http://h/a", "http://h/a"]
    assert asked.hosts.in_flight("h") == 0
