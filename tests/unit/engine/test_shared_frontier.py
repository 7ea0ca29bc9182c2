"""What a shard offers, draws, lets go of and gives back."""

import json

import pytest

from crawler import Request, Spider
from crawler.engine.frontier import shared_journal
from crawler.engine.frontier.shared_frontier import MOST_GIVEN, SharedFrontier
from crawler.engine.frontier.shared_journal import SharedJournal
from crawler.engine.frontier.store import Found
from crawler.engine.http import urls
from crawler.settings.crawl import CrawlSettings


class Listed(Spider):
    name = "listed"

    def parse(self, response):
        pass


class Part:
    """The frontier of a shard and its journal."""

    def __init__(self, next_id=7, **settings):
        self.now_s = 100.0
        spider = Listed()
        self.journal = SharedJournal(spider, Found(1, next_id=next_id), lambda: self.now_s)
        self.frontier = SharedFrontier(
            CrawlSettings(**settings), lambda: self.now_s, (), lambda: None, spider, self.journal
        )

    def admit(self, url, **more):
        return self.frontier.admit(Request(url, **more), 0)

    def offers(self):
        offers, _ = self.journal.take_offers()
        self.journal.telling = 0
        return offers

    def draw(self, offers):
        """Queue what is drawn; the reasons of what is not wanted."""
        refused = []
        for offer in offers:
            job, refusal = self.frontier.draw(offer)
            self.journal.drawn(None if refusal else job, offer)
            if refusal:
                refused.append(refusal)
            else:
                self.frontier.take_back(job, self.now_s + offer.wait_s)
        return refused

    def hold(self, *addresses, **more):
        """Have these requests in the frontier, as drawn from another shard."""
        other = Part(next_id=500)
        for url in addresses:
            other.admit(url, **more)
        assert self.draw(other.offers()) == []

    def pop(self):
        queue = self.frontier.due()
        if queue is None:
            return None, None
        job = self.frontier.pop(queue)
        self.frontier.put(queue, self.now_s)
        return queue, job

    def gone(self):
        return self.frontier.take_gone(())


@pytest.fixture
def part():
    return Part()


def test_what_is_found_is_offered_and_does_not_wait_here(part):
    assert part.admit("http://h/a?b#c", priority=4) == ""
    assert part.frontier.due() is None
    assert len(part.frontier) == 1
    [offer] = part.offers()
    assert (offer.mark, offer.site, offer.priority) == (
        urls.fingerprint("http://h/a?b"),
        "http://h",
        4,
    )
    assert len(part.frontier) == 0
    assert part.admit("http://h/a?b") == "duplicate"
    assert list(part.journal.take().marks) == []  # the store learns it from the offer


def test_what_is_wanted_in_any_case_has_no_mark(part):
    for _ in range(2):
        assert part.admit("http://h/a", dont_filter=True) == ""
    assert [offer.mark for offer in part.offers()] == [0, 0]


def test_very_many_that_are_wanted_in_any_case_stay_and_are_in_the_next_step(part, monkeypatch):
    monkeypatch.setattr(shared_journal, "MOST_WANTED", 3)
    for number in range(5):
        assert part.admit(f"http://h/{number}", dont_filter=True) == ""
    assert len(part.offers()) == 3
    assert [each.record for each in part.journal.take().added] != []
    found = [part.pop()[1].url for _ in range(2)]
    assert found == ["http://h/3", "http://h/4"]
    assert part.admit("http://h/5", dont_filter=True) == ""
    assert len(part.offers()) == 1  # each step may have as many


def test_what_a_page_yields_is_told_before_its_end_if_it_is_very_much(part, monkeypatch):
    monkeypatch.setattr(shared_journal, "MOST_OFFERED", 3)
    ahead = []
    part.journal.tell_ahead = lambda: ahead.extend(part.journal.take_ahead())
    part.admit("http://h/twice", dont_filter=True)
    for number in range(5):
        part.admit(f"http://h/{number}")
    told = [json.loads(each.record)[0]["url"] for each in ahead]
    assert told == [f"http://h/{number}" for number in range(4)]
    assert [each.mark == 0 for each in part.offers()] == [True, False]


def test_what_cannot_be_written_down_stays(part):
    assert part.admit("http://h/a", callback=lambda response: None) == ""
    assert part.offers() == []
    _, job = part.pop()
    assert job.url == "http://h/a"
    assert list(part.journal.take().marks) == []
    part.journal.ended(job)
    assert list(part.journal.take().marks) == [urls.fingerprint("http://h/a")]


def test_what_is_drawn_has_a_number_of_this_run_and_is_in_the_next_step(part):
    part.hold("http://h/a", "http://h/b")
    _, first = part.pop()
    _, second = part.pop()
    assert (first.order, second.order) == (7, 8)
    added = part.journal.take().added
    assert [each.id for each in added] == [7, 8]
    assert part.journal.take_offers()[1] == 2


def test_a_drawn_request_waits_for_the_rest_of_its_pause(part):
    other = Part()
    other.admit("http://h/a")
    [offer] = other.offers()
    part.draw([offer._replace(wait_s=5.0)])
    assert part.pop()[1] is None
    part.now_s += 5.1
    assert part.pop()[1].url == "http://h/a"


def test_the_most_urgent_of_what_was_drawn_goes_first(part):
    part.hold("http://h/a")
    part.hold("http://h/b", priority=9)
    assert part.pop()[1].url == "http://h/b"


def test_a_site_is_let_go_when_nothing_of_it_is_left(part):
    part.hold("http://h/a")
    queue, _ = part.pop()
    queue.busy += 1
    assert not part.frontier.forget(queue)
    queue.busy -= 1
    assert part.frontier.forget(queue)
    assert part.gone() == ["http://h"]
    assert part.gone() == []


def test_a_site_is_not_let_go_that_came_back_meanwhile(part):
    part.hold("http://h/a")
    queue, _ = part.pop()
    part.frontier.forget(queue)
    part.hold("http://h/b")
    assert part.gone() == []


def test_a_site_is_not_let_go_while_a_retry_waits(part):
    part.hold("http://h/a")
    queue, job = part.pop()
    part.frontier.retry(job, part.now_s + 9.0)
    part.frontier.forget(queue)
    assert part.gone() == []


def test_a_site_is_not_let_go_for_which_something_was_just_found(part):
    part.hold("http://h/a")
    queue, _ = part.pop()
    part.admit("http://h/b")
    part.frontier.forget(queue)
    assert part.frontier.take_gone(part.offers()) == []


def give(part, most):
    part.frontier.promise(most)
    queues = part.frontier.take_out()
    part.frontier.give_back()
    return [queue.origin for queue in queues]


def test_sites_are_given_back_with_all_their_requests(part):
    part.hold(*(f"http://h{number % 3}/{number}" for number in range(12)))
    part.journal.take()
    [site] = give(part, 1)
    offers = part.offers()
    assert {(offer.mark, offer.site) for offer in offers} == {(0, site)}
    assert len(offers) == 4
    assert part.frontier.take_gone(offers) == [site]
    step = part.journal.take()
    assert (len(step.ended), len(step.added)) == (4, 0)
    assert (len(part.frontier), part.frontier.serving) == (8, 2)
    left = {part.pop()[1].url for _ in range(8)}
    assert not {json.loads(offer.record)[0]["url"] for offer in offers} & left


def test_a_site_with_a_request_in_flight_is_sent_nothing_more_and_given_back_later(part):
    part.hold("http://h/a", "http://h/b")
    queue, _ = part.pop()
    queue.busy += 1
    assert give(part, 1) == []
    assert part.pop() == (None, None)
    assert not part.frontier.is_giving
    queue.busy -= 1
    assert part.frontier.is_giving
    assert give(part, 0) == ["http://h"]
    assert len(part.offers()) == 1


def test_a_site_with_something_that_cannot_be_written_down_is_not_given_back(part):
    part.admit("http://h/a", callback=lambda response: None)
    part.hold("http://h/b")
    assert give(part, 1) == []
    assert part.pop()[1].url == "http://h/a"


def test_a_site_of_which_requests_are_on_disk_is_not_given_back():
    part = Part(max_pending=100)
    part.hold(*(f"http://h/{number}" for number in range(1500)))
    assert part.frontier.memory()["on_disk"] > 0
    assert give(part, 1) == []
    part.frontier.close()


def test_a_huge_site_is_given_back_in_several_steps(part):
    part.hold(*(f"http://h/{number}" for number in range(MOST_GIVEN + 5)))
    give(part, 1)
    assert len(part.offers()) == MOST_GIVEN
    assert len(part.frontier) == 5
    assert part.gone() == ["http://h"]
    give(part, 0)
    assert len(part.offers()) == 5
    assert (len(part.frontier), part.frontier.is_giving) == (0, False)


def test_what_is_given_back_counts_no_longer_for_its_host():
    part = Part(max_pages_per_host=3)
    for _ in range(3):
        part.hold("http://h/a", "http://h/b", "http://h/c")
        give(part, 1)
        offers = part.offers()
        part.gone()
    assert part.draw(offers) == []
    other = Part()
    other.admit("http://h/d")
    assert part.draw(other.offers()) == ["host limit"]


def test_a_page_that_is_known_by_the_url_of_a_drawn_request_is_not_read_again(part):
    part.hold("http://h/a?x")
    _, job = part.pop()
    assert part.frontier.claim("http://h/a", job)
    other = Part()
    other.admit("http://h/a")
    assert part.draw(other.offers()) == ["duplicate"]
    assert list(part.journal.take().marks) == [urls.fingerprint("http://h/a")]


def moved(part, to, **more):
    """A request that was redirected, and why it is not followed."""
    part.hold("http://h/from", **more)
    _, job = part.pop()
    part.journal.take()
    part.journal.take_offers()
    return job, part.frontier.admit_hop(job, to, "GET", None)


@pytest.mark.parametrize("to", ["http://h/to", "http://other/to"])
def test_a_redirect_is_offered_wherever_it_leads(part, to):
    job, refusal = moved(part, to)
    assert refusal == ""
    [offer] = part.offers()
    assert (offer.mark, offer.site) == (urls.fingerprint(to), to.removesuffix("/to"))
    assert list(part.journal.take().ended) == [job.order]
    again, _ = Part().frontier.draw(offer)
    assert (again.url, again.hops) == (to, ("http://h/from",))


def test_a_redirect_to_what_is_known_here_is_not_followed(part):
    part.admit("http://h/to")
    assert moved(part, "http://h/to")[1] == "duplicate"
    assert part.offers() == []


def test_the_answer_to_a_form_stays_on_its_site_and_is_known(part):
    job, refusal = moved(part, "http://h/to", method="POST", body=b"q=1")
    assert (refusal, part.offers()) == ("", [])
    assert part.pop()[1] is job
    step = part.journal.take()
    assert [each.id for each in step.changed] == [job.order]
    assert list(step.marks) == [urls.fingerprint("http://h/to")]


def test_the_answer_to_a_form_on_another_site_is_wanted_by_whoever_draws_it(part):
    _, refusal = moved(part, "http://other/to", method="POST", body=b"q=1")
    assert refusal == ""
    assert [(offer.mark, offer.site) for offer in part.offers()] == [(0, "http://other")]
