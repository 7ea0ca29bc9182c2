"""Each node has metrics of its own."""

from crawler.metrics import Metrics


def test_two_nodes_in_a_process_count_apart():
    first, second = Metrics(), Metrics()
    first.counter("crawler_things", "Things.", "kind").labels("a").inc()
    second.counter("crawler_things", "Things.", "kind")
    assert first.registry.get_sample_value("crawler_things_total", {"kind": "a"}) == 1
    assert second.registry.get_sample_value("crawler_things_total", {"kind": "a"}) is None


def test_a_name_stands_for_one_metric():
    metrics = Metrics()
    assert metrics.gauge("crawler_level", "Level.") is metrics.gauge("crawler_level", "Level.")
    assert metrics.histogram("crawler_s", "Time.") is metrics.histogram("crawler_s", "Time.")


def test_a_gauge_may_be_read_when_looked_at():
    metrics, values = Metrics(), iter([1.0, 2.0])
    metrics.gauge_of("crawler_level", "Level.", lambda: next(values))
    assert metrics.registry.get_sample_value("crawler_level") == 1
    text, content_type = metrics.render()
    assert b"crawler_level 2.0" in text
    assert content_type.startswith("text/plain")


def test_a_queue_shows_its_length_its_limit_and_what_it_refused():
    metrics, waiting = Metrics(), [1, 2, 3]
    metrics.queue("letters", 10, lambda: len(waiting))
    metrics.queue("parcels", 5, lambda: 0)
    metrics.refusals("letters").inc()
    assert of_queue(metrics, "letters") == (3, 10, 1)
    waiting.clear()
    assert of_queue(metrics, "letters") == (0, 10, 1)
    assert of_queue(metrics, "parcels") == (0, 5, None)


def of_queue(metrics, name):
    """Length, limit and refusals of a queue."""
    names = ("crawler_queue_length", "crawler_queue_limit", "crawler_queue_refused_total")
    return tuple(metrics.registry.get_sample_value(each, {"queue": name}) for each in names)
