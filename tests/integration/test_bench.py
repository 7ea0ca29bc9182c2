"""What is measured works: each figure on a small scale, whatever it comes to."""

from bench import decisions, durable, scenes


def test_tasks_that_ask_for_everything_can_all_be_placed():
    workers, tasks = scenes.rich_workers(200), scenes.rich_tasks(500)
    assert decisions.decide(workers, tasks) > 0  # it raises unless all are placed


def test_all_tasks_of_a_dead_worker_move(monkeypatch):
    monkeypatch.setattr(decisions, "WORKERS", 30)
    monkeypatch.setattr(decisions, "TASKS", 30_000)
    monkeypatch.setattr(decisions, "DEATHS", 2)
    assert len(decisions.death().figures["of_10000_ms"]) == 2


def test_all_tasks_become_durable(monkeypatch):
    monkeypatch.setattr(durable, "WORKERS", 20)
    monkeypatch.setattr(durable, "TASKS", 500)
    monkeypatch.setattr(durable, "REFERENCE_TASKS", 20)
    limit, ours, reference = durable.rows()
    assert all(rate > 0 for rate in limit.figures["before_after_per_second"])
    assert ours.figures["per_second"] > 0
    assert reference.figures["per_second"] > 0
