"""How a master puts the log of a task together from what the workers have."""

import pytest

from crawler.api.backend import Call, NodeLoad, Page
from crawler.api.task_logs import TaskLog
from crawler.errors import InvalidArgument, NotFound, Unavailable
from crawler.model.logs import LogQuery, Passage, Piece, PieceKey
from crawler.model.records import Interruption, Node, Owner, Resource, Spec, State
from crawler.model.shards import shard_spec
from crawler.schemas.log_schemas import load_query

CALL = Call(20.0)
SPEC = Spec("shop", workers=2)


class Backend:
    """A leader that knows one task, its shards and some workers."""

    def __init__(self, head, *shards, workers=()):
        self.head, self.shards = head, shards
        self.workers = [NodeLoad(Node(name, name), "worker") for name in workers]

    def get(self, name, call):
        if name != self.head.name:
            raise NotFound("no such task")
        return self.head

    def list(self, query, call):
        return Page(self.shards, "", len(self.shards))

    def nodes(self, call):
        return self.workers


class Worker:
    """The logs of a worker: lines by epoch, shard, run and id."""

    def __init__(self, *pieces, dropped=0):
        self.lines = {Piece(PieceKey(e, s), id, run): data for e, s, run, id, data in pieces}
        self.dropped = dropped

    def log_pieces(self, name, call):
        return [
            Piece(each.key, each.id, each.run, self.dropped, len(data))
            for each, data in self.lines.items()
        ]

    def log_passage(self, name, id, key, begin, call):
        [data] = [d for each, d in self.lines.items() if (each.id, each.key) == (id, key)]
        at = max(begin, self.dropped)
        return Passage(data[at:], at, False)

    def close(self):
        pass


class Silent(Worker):
    def log_pieces(self, name, call):
        raise Unavailable("it sleeps")


def resource(spec=SPEC, **fields):
    fields = {"epoch": 1, "state": State.RUNNING, "owner": Owner("w-1", "w-1"), **fields}
    return Resource(spec, id="7", **fields)


def read(backend, workers, **query):
    log = TaskLog(lambda call: backend, workers.__getitem__, LogQuery("shop", **query), CALL)
    parts = list(log.parts())
    lines = [
        (part.key.epoch, part.key.shard, part.node, part.data.decode())
        for part in parts
        if part.data
    ]
    return lines, [part.note for part in parts if part.note]


def test_pieces_come_by_epoch_and_shard_from_whichever_worker_has_them():
    head = resource(epoch=2)
    shard = resource(shard_spec(SPEC, 1), epoch=2)
    workers = {
        "w-1": Worker((2, 0, 1, "7", b"c\n"), (1, 1, 1, "7", b"b\n")),
        "w-2": Worker((1, 0, 1, "7", b"a\n"), (2, 1, 1, "7", b"d\n")),
    }
    backend = Backend(head, shard, workers=workers)
    lines, notes = read(backend, workers)
    assert lines == [
        (1, 0, "w-2", "a\n"),
        (1, 1, "w-1", "b\n"),
        (2, 0, "w-1", "c\n"),
        (2, 1, "w-2", "d\n"),
    ]
    assert notes == []
    lines, notes = read(backend, workers, positions={0: (2, 2), 1: (1, 0)})
    assert ([data for *_, data in lines], notes) == (["b\n", "d\n"], [])


def test_what_is_missing_is_told_with_the_reason():
    head = resource(epoch=3, interruption=Interruption("w-2 is gone"))
    shard = resource(shard_spec(SPEC, 1), epoch=1, owner=Owner("w-9", "w-9"))
    workers = {"w-1": Worker((3, 0, 1, "7", b"c\n")), "w-3": Silent()}
    lines, notes = read(Backend(head, shard, workers=workers), workers)
    assert lines == [(3, 0, "w-1", "c\n")]
    gone = "no worker has it; the one that had it is gone, or has removed it"
    assert notes == [
        "what w-3 has is left out, because it does not answer: it sleeps",
        f"the log of epoch 1 is missing: {gone}",
        f"the log of epoch 2 is missing: {gone} (w-2 is gone)",
        "the log of epoch 1, shard 1 is missing: w-9 had it, and is not there, or has removed it",
    ]


def test_an_assignment_that_has_not_begun_misses_nothing():
    workers = {"w-1": Worker((1, 0, 1, "7", b"a\n"))}
    head = resource(Spec("shop"), epoch=2, state=State.ASSIGNED)
    assert read(Backend(head, workers=workers), workers) == ([(1, 0, "w-1", "a\n")], [])


def test_a_run_before_has_the_epochs_up_to_those_of_the_next():
    workers = {"w-1": Worker((2, 0, 1, "7", b"a\n"), (3, 0, 2, "7", b"b\n"))}
    backend = Backend(resource(Spec("shop"), epoch=3, run=2), workers=workers)
    lines, [note] = read(backend, workers, run=1)
    assert lines == [(2, 0, "w-1", "a\n")]
    assert note.startswith("the log of epoch 1 is missing")
    assert read(backend, workers) == ([(3, 0, "w-1", "b\n")], [])


def test_lines_that_were_dropped_are_counted():
    workers = {"w-1": Worker((1, 0, 1, "7", b"a\nb\n"), dropped=2)}
    lines, [note] = read(Backend(resource(Spec("shop")), workers=workers), workers)
    assert lines == [(1, 0, "w-1", "b\n")]
    assert note.startswith("the log of epoch 1: 2 bytes are dropped")


def test_an_earlier_task_of_the_same_name_is_another_one():
    workers = {"w-1": Worker((1, 0, 1, "6", b"of others\n"), (1, 0, 1, "7", b"a\n"))}
    backend = Backend(resource(Spec("shop")), workers=workers)
    assert read(backend, workers) == ([(1, 0, "w-1", "a\n")], [])


def test_of_two_workers_that_share_a_folder_one_is_asked():
    workers = {name: Worker((1, 0, 1, "7", b"a\n")) for name in ("w-1", "w-2")}
    lines, _ = read(Backend(resource(Spec("shop")), workers=workers), workers)
    assert [data for *_, data in lines] == ["a\n"]


class Time:
    """A clock that calls for each sleep."""

    def __init__(self, called):
        self.now_s, self._called = 0.0, called

    def monotonic(self):
        return self.now_s

    def sleep(self, duration_s):
        self.now_s += duration_s
        self._called(self.now_s)


def test_who_follows_a_task_without_a_worker_does_not_keep_all_workers_busy():
    asked = []

    class Counting(Worker):
        def log_pieces(self, name, call):
            asked.append(time.now_s)
            return super().log_pieces(name, call)

    def later(now_s):
        if now_s == 101:
            worker.lines[Piece(PieceKey(3), "7", 1)] = b"b\n"
            backend.head = resource(Spec("shop"), epoch=3, state=State.DONE)

    worker, time = Counting((1, 0, 1, "7", b"a\n")), Time(later)
    backend = Backend(resource(Spec("shop"), epoch=2), workers=["w-1"])
    query = LogQuery("shop", follow=True)
    parts = list(TaskLog(lambda call: backend, lambda _: worker, query, CALL, time).parts())
    assert [part.data for part in parts if part.data] == [b"a\n", b"b\n"]
    assert len([at for at in asked if at < 100]) < 20
    assert 101 in asked, "where the task goes on is seen at once"


def test_one_request_follows_a_log_for_an_hour():
    """A token may be revoked meanwhile: that shows with the next request."""
    worker, time = Worker((1, 0, 1, "7", b"a\n")), Time(lambda now_s: None)
    backend = Backend(resource(Spec("shop")), workers=["w-1"])
    query = LogQuery("shop", follow=True)
    parts = TaskLog(lambda call: backend, lambda _: worker, query, CALL, time).parts()
    assert next(parts).data == b"a\n"
    with pytest.raises(Unavailable, match="an hour"):
        list(parts)
    assert 3600 < time.now_s < 3602


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"offset": "1.2"}, "offset: '1.2' is not allowed"),
        ({"run": "0x1"}, "run: '0x1' is not allowed"),
        ({"follow": "yes"}, "follow: 'yes' is not allowed"),
        ({"offset": {99: (1, 1)}}, "positions: shard 99 at"),
        ({"lines": "5"}, "lines"),
    ],
)
def test_a_bad_request_is_told(given, why):
    with pytest.raises(InvalidArgument, match=why):
        load_query({"name": "shop", **given})


def test_the_place_to_go_on_is_read_for_each_shard():
    found = load_query({"name": "shop", "offset": "0.3.1024,1.4.7", "follow": "true"})
    assert found == LogQuery("shop", 0, {0: (3, 1024), 1: (4, 7)}, True)
