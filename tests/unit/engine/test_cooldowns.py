"""Hosts that are left alone: for how long, how often, and who still waits for them."""

import pytest

from crawler.clock import ManualClock
from crawler.engine.http.headers import retry_after_s
from crawler.engine.http.messages import DOWN, TOO_LONG
from crawler.engine.politeness.cooldowns import DAY_S, Cooldowns
from crawler.settings.crawl import CrawlSettings

SETTINGS = CrawlSettings(dead_after=3, dead_rest_s=10.0, dead_wait_s=60.0)


class Host:
    """One host whose requests take no time."""

    def __init__(self, chance=0.0):
        self.clock = ManualClock()
        self.cooldowns = Cooldowns(self.clock, lambda: chance)

    def throttled(self, asked_s=0.0, sent_s=None, settings=SETTINGS):
        """The rest that is left after a 429."""
        sent_s = self.clock.monotonic() if sent_s is None else sent_s
        self.cooldowns.throttled("h", sent_s, asked_s, settings)
        return self.left_s

    def unreachable(self):
        self.cooldowns.unreachable("h", self.clock.monotonic(), SETTINGS)
        return self.left_s

    @property
    def left_s(self):
        return self.cooldowns.under_way().get("h", 0.0)

    def wait(self, beyond_s=1.0):
        self.clock.advance(self.left_s + beyond_s)


def test_rests_of_a_throttling_host_double_up_to_a_day():
    it = Host()
    found = []
    for _ in range(14):
        found.append(it.throttled())
        it.wait()
    assert found[:4] == pytest.approx([60.0, 120.0, 240.0, 480.0])
    assert found[-1] == pytest.approx(DAY_S)


def test_what_was_on_its_way_belongs_to_the_same_incident():
    it = Host()
    sent_s = it.clock.monotonic()
    it.clock.advance(1.0)
    it.throttled()
    it.clock.advance(1.0)
    assert it.throttled(sent_s=sent_s) == pytest.approx(59.0)
    it.wait()
    assert it.throttled() == pytest.approx(120.0)


def test_half_an_hour_without_an_incident_and_all_is_forgiven():
    it = Host()
    it.throttled()
    it.wait(beyond_s=1799.0)
    assert it.throttled() == pytest.approx(120.0)
    it.wait(beyond_s=1801.0)
    assert it.throttled() == pytest.approx(60.0)


def test_a_good_answer_soon_after_does_not_forgive():
    it = Host()
    it.throttled()
    it.wait()
    it.cooldowns.answered("h", promptly=True)
    assert it.cooldowns.get("h").probed is False
    assert it.throttled() == pytest.approx(120.0)
    it.wait(beyond_s=1801.0)
    it.cooldowns.answered("h", promptly=True)
    assert len(it.cooldowns) == 0


def test_chance_makes_a_rest_up_to_a_tenth_longer_and_never_shorter():
    assert Host(chance=1.0).throttled() == pytest.approx(66.0)
    assert Host(chance=0.0).throttled() == pytest.approx(60.0)


def test_retry_after_is_kept_to_the_second_and_at_most_a_day():
    assert Host(chance=1.0).throttled(asked_s=7.0) == pytest.approx(7.0)
    assert Host().throttled(asked_s=1e9) == pytest.approx(DAY_S)


def test_a_later_answer_of_the_incident_may_ask_for_more_and_not_for_less():
    it = Host()
    sent_s = it.clock.monotonic()
    it.throttled(asked_s=30.0)
    assert it.throttled(asked_s=50.0, sent_s=sent_s) == pytest.approx(50.0)
    assert it.throttled(asked_s=5.0, sent_s=sent_s) == pytest.approx(50.0)


def test_no_rest_where_the_setting_says_so():
    assert Host().throttled(settings=CrawlSettings(throttle_s=0)) == 0.0


def test_a_host_that_cannot_be_reached_rests_after_some_failures_and_longer_each_time():
    it = Host()
    found = []
    for _ in range(6):
        it.clock.advance(1.0)
        found.append(it.unreachable())
        it.wait()
    assert found == pytest.approx([0.0, 0.0, 10.0, 20.0, 40.0, 80.0])


@pytest.mark.parametrize("promptly", [True, False])
def test_failures_count_in_a_row_only(promptly):
    it = Host()
    for _ in range(10):
        it.clock.advance(1.0)
        assert it.unreachable() == 0.0
        assert it.unreachable() == 0.0
        it.cooldowns.answered("h", promptly)


def test_a_connection_ends_the_rest_of_a_host_that_was_down():
    it = Host()
    for _ in range(3):
        it.clock.advance(1.0)
        it.unreachable()
    assert it.left_s > 0
    it.cooldowns.answered("h", promptly=True)
    assert it.left_s == 0.0


def test_who_waits_for_which_rest():
    it = Host()
    patient = CrawlSettings(max_wait_s=60.0)
    it.throttled()
    now_s = it.clock.monotonic()
    assert it.cooldowns.get("h").hopeless(now_s, patient) == ""
    assert it.cooldowns.get("h").hopeless(now_s, CrawlSettings(max_wait_s=59.0)) == TOO_LONG
    it.clock.advance(61.0)
    assert it.cooldowns.get("h").hopeless(it.clock.monotonic(), CrawlSettings(max_wait_s=0)) == ""


def test_a_host_that_stays_down_is_given_up_after_its_last_probe():
    it = Host()
    reasons = []
    for _ in range(6):
        it.clock.advance(1.0)
        it.unreachable()
        reasons.append(it.cooldowns.get("h").hopeless(it.clock.monotonic(), SETTINGS))
        it.wait()
    assert reasons == ["", "", "", "", "", DOWN]


def test_hosts_that_were_not_heard_of_for_long_are_forgotten():
    clock = ManualClock()
    rests = Cooldowns(clock)
    for number in range(1024):
        rests.unreachable(f"h{number}", clock.monotonic(), CrawlSettings(dead_after=1))
    clock.advance(4000.0)
    rests.unreachable("one more", clock.monotonic(), SETTINGS)
    assert len(rests) == 1


@pytest.mark.parametrize(("asked", "seconds"), [("7", 7.0), ("9" * 400, 1e9), ("-1", 0.0)])
def test_a_host_cannot_ask_for_eternity(asked, seconds):
    assert retry_after_s({"retry-after": asked}, 0.0) == seconds
