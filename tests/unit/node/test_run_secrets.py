"""A run gets the values of the secrets that its task names when it begins, and keeps these."""

from types import SimpleNamespace

import pytest

from crawler import redaction
from crawler.coordination.sealing import CannotUnseal, NoKey
from crawler.errors import NotFound, Unavailable
from crawler.model.records import Resource, Spec, State
from crawler.model.secrets import Opened
from crawler.model.statistics import Statistics
from crawler.node.crew.distant_run import DistantRun
from crawler.node.crew.spawner import environment
from crawler.node.run.crawl_run import CrawlRun
from crawler.node.worker.run_secrets import RunSecrets
from crawler.settings import task_parameters

CANARY = "open sesame"
FORMER = "what it was"
PARAMETERS = {"login": "secret:shop", "settings": {"headers": {"Cookie": "secret:shop"}}}


class Known:
    """The secrets of a cluster; `away` is how often they cannot be read first."""

    def __init__(self, away=0, fault=None, **values):
        self.values_, self.away, self.fault = values, away, fault

    def opened(self, names):
        if self.fault:
            raise self.fault
        self.away -= 1
        if self.away >= 0:
            raise Unavailable("etcd is away")
        missing = sorted(names - self.values_.keys())
        if missing:
            raise NotFound(f"no secret {missing[0]!r} is there")
        return {name: Opened(self.values_[name], FORMER) for name in names}


class Engine:
    """Notes with which specifications it crawls, and to which it adjusts."""

    def __init__(self, meanwhile=lambda: None):
        """`meanwhile` is what happens while it crawls."""
        self.specs, self._meanwhile = [], meanwhile

    def crawl(self, spec, sink, kept):
        self.specs.append(spec)
        return Crawl(self._meanwhile)

    def adjust(self, crawl, spec):
        self.specs.append(spec)


class Crawl:
    """A crawl that ends at once."""

    has_lost_steps = can_go_on = False
    counts, shard_counts = None, {}
    statistics = Statistics("", "")

    def __init__(self, run):
        self.run = run

    def outcome(self):
        return State.DONE, ""


def spec_of(**settings):
    given = {**PARAMETERS, "settings": {**PARAMETERS["settings"], **settings}}
    return Spec("task", "shop", given)


@pytest.fixture(autouse=True)
def _forgets(monkeypatch):
    """What one test reads is hidden in no other."""
    monkeypatch.setattr(redaction, "_known", redaction.Remembered())


def run_of(kind=CrawlRun, *more):
    return kind(Resource(spec_of(), id="1", epoch=1), *more)


def given(run, known):
    """Give a run what it may have. It goes on."""
    return entered(run, known).__enter__()


def entered(run, known):
    return RunSecrets(known, SimpleNamespace(sleep=lambda seconds: None)).given(run)


def test_a_run_crawls_with_the_values_and_its_task_keeps_the_names():
    run = run_of()
    engine = Engine(lambda: run.adjust(spec_of(delay_s=5.0)))
    assert given(run, Known(shop=CANARY))
    run.execute(engine, None)
    filled = {"login": CANARY, "settings": {"headers": {"Cookie": CANARY}}}
    begun, adjusted = engine.specs
    assert begun.parameters == filled
    assert adjusted.parameters["settings"] == {"headers": {"Cookie": CANARY}, "delay_s": 5.0}
    assert run.resource.spec.parameters == PARAMETERS
    assert run.status().state is State.DONE


def test_a_run_whose_secret_is_not_there_fails_and_names_it():
    run = run_of()
    assert not given(run, Known())
    assert (run.status().state, run.status().reason) == (
        State.FAILED,
        "no secret 'shop' is there; then: crawler again task",
    )
    assert not run.status().awaits_spider


def test_a_run_waits_for_an_etcd_that_is_away_until_it_is_stopped():
    run, known = run_of(), Known(away=3, shop=CANARY)
    assert given(run, known)
    assert (run.secrets, known.away) == ({"shop": CANARY}, -1)
    stopped = run_of()
    stopped.stop()
    assert not given(stopped, Known(away=1))
    assert stopped.waits


def test_a_run_that_names_no_secret_asks_nobody():
    run = CrawlRun(Resource(Spec("task", "shop", {"login": "secret"}), id="1", epoch=1))
    assert given(run, None)


def test_without_a_cluster_a_task_that_names_a_secret_fails_and_says_so():
    run = run_of()
    run.execute(Engine(), None)
    assert run.status().reason == (
        "secret 'shop' is not there for this run: only workers of a cluster read secrets, when a"
        " run begins"
    )


def test_a_worker_gives_the_values_to_the_crawl_process_and_keeps_none():
    told = []

    class Process:
        def tell(self, *message):
            told.append(message)

    run = run_of(DistantRun, 7)
    assert given(run, Known(shop=CANARY))
    run.begin(Process())
    assert told == [("start", 7, run.resource, {"shop": CANARY}, {"shop": FORMER})]
    assert run.resource.spec.parameters == PARAMETERS
    assert not run.secrets
    assert not run.former


def test_a_reason_tells_no_value():
    run = run_of()
    assert given(run, Known(shop=CANARY))
    run.fail(f"cannot log in with {CANARY!r}")
    assert run.status().reason == "cannot log in with 'secret:shop'"


@pytest.mark.parametrize("fault", [CannotUnseal("sealed under another key"), NoKey("no key")])
def test_a_worker_that_lacks_the_key_hands_the_task_on(fault):
    run = run_of()
    assert not given(run, Known(fault=fault))
    status = run.status()
    assert (status.interrupted, status.charged, status.reason) == (True, False, str(fault))


def test_the_former_value_is_hidden_too():
    assert given(run_of(), Known(shop=CANARY))
    assert redaction.hide(f"{CANARY}, {FORMER}") == "secret:shop, secret:shop"


def test_a_reason_is_kept_without_values_and_these_are_forgotten_some_time_later():
    first, other = run_of(), run_of()
    known = Known(shop=CANARY)
    with entered(first, known):
        first.fail(f"not with {CANARY}")
        with entered(other, known):
            pass
        later_runs()
        assert redaction.hide(CANARY) == "secret:shop", "a run has it"
    assert redaction.hide(CANARY) == "secret:shop", "its last lines may come later"
    later_runs()
    assert redaction.hide(CANARY) == CANARY
    assert first.status().reason == "not with secret:shop"
    assert redaction._known.redactor.size < 100 * redaction.LATELY


def later_runs():
    """Let as many runs end as are remembered, each with a secret of its own."""
    for number in range(redaction.LATELY + 1):
        with entered(run_of(), Known(shop=f"a later value {number}")):
            pass


def test_no_crawl_process_gets_the_keys_and_the_token():
    given = {"CRAWLER_SECRETS_KEY": "a", "CRAWLER_TOKEN": "b", "MINE": "key", "PATH": "/bin"}
    given["OTEL_EXPORTER_OTLP_HEADERS"] = "api-key=c"
    assert environment(given, ["key"]).keys() & given.keys() == {"PATH"}


@pytest.mark.parametrize(
    "parameters",
    [
        {"start_urls": ["secret:url"], "settings": {"http_user": "secret:a"}},
        {"start_urls": "secret:url", "settings": {"proxies": ["secret:a", "http://h:1"]}},
    ],
)
def test_a_master_leaves_what_names_a_secret_to_the_worker(parameters):
    assert task_parameters.faults(parameters) == []


def test_a_master_checks_all_the_rest():
    parameters = {"start_urls": ["x"], "settings": {"http_user": "secret:a", "retries": -1}}
    assert [fault.partition(":")[0] for fault in task_parameters.faults(parameters)] == [
        "parameters.start_urls[0]",
        "parameters.settings.retries",
    ]
