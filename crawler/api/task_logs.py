"""The log of a task, put together from the workers that have or had it.

Any master can do this: the leader says which tasks and which workers there are, and the workers are
asked for the pieces. A task that moved has pieces on several workers, one for each assignment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from crawler.api.backend import Backend, Call, NodeLoad
from crawler.api.log_pieces import dropped, id_name, keys_of_run, latest, named, no_run, why_missing
from crawler.api.workers import (
    Reach,
    WorkerClient,
    ask_all,
    brief,
    resources_of,
    workers_of,
)
from crawler.clock import Backoff, Clock, SystemClock
from crawler.errors import CrawlerError, NotFound, Retryable, Unavailable
from crawler.model.logs import LogPart, LogQuery, Piece, PieceKey
from crawler.model.records import Resource

LOOK_S = 0.5
"""How often it is looked for new lines while somebody follows a log."""
MOST_ASK_S = 8.0
"""All workers are asked for a piece that is lacking with pauses that grow up to this."""
LAST_S = 1.5
"""How long after the end of a run its last lines are waited for."""
ALIVE_S = 15.0
"""How often a stream without lines shows that it is alive: nothing else tells that its reader has
gone."""
MOST_FOLLOWED_S = 3600.0
"""How long one request follows a log: only a new one shows whether its token still counts."""
TOO_LONG = "a log is followed for an hour with one request; ask again from the last offset on"
NO_LEADER = "no leader answers at present; until one does, it is not seen where the task moves"
MOST_TOLD = 5
"""How many missing pieces, or silent workers, are named one by one."""


@dataclass
class _Known:
    """What is known of the log of one run."""

    run: int
    has_ended: bool
    """Whether the run is over."""
    epochs: Mapping[int, int]
    """By shard: the epoch of the present assignment."""
    held: dict[PieceKey, tuple[Piece, NodeLoad]]
    """The pieces that workers have."""
    notes: list[str] = field(default_factory=list)


class TaskLog:
    """Reads the log of one task for one caller."""

    def __init__(
        self,
        backend: Callable[[Call], Backend],
        reach: Reach,
        query: LogQuery,
        call: Call,
        clock: Clock | None = None,
    ) -> None:
        self._backend = backend
        self._reach = reach
        self._query = query
        self._call = call
        self._clock = clock or SystemClock()
        self._run = query.run
        self._clients: dict[str, WorkerClient] = {}
        self._ends: dict[PieceKey, int] = {}
        """How far each piece has been read."""
        self._told: set[str] = set()
        """The notes so far."""
        self._backoff = Backoff(LOOK_S, MOST_ASK_S)
        self._ask_s = 0.0
        """From when on all workers may be asked again for what is lacking."""

    def parts(self) -> Iterator[LogPart]:
        """Return the parts, in the order of their epochs and shards. An empty part shows that the
        stream is alive. Raises NotFound, and whatever calls raise, before the first part."""
        try:
            known = self._look()
        except BaseException:
            self._close()
            raise
        return self._until_end(known)

    def _until_end(self, known: _Known) -> Iterator[LogPart]:
        try:
            yield from self._followed(known) if self._query.follow else self._read(known)
        finally:
            self._close()

    def _followed(self, known: _Known) -> Iterator[LogPart]:
        began_s = shown_s = going_s = self._clock.monotonic()
        while True:
            has_lines = False
            for part in self._read(known):
                has_lines = has_lines or bool(part.data)
                yield part
            now_s = self._clock.monotonic()
            if has_lines:
                shown_s = now_s
            if has_lines or not known.has_ended:
                going_s = now_s
            if now_s - going_s > LAST_S:
                return
            if now_s - began_s > MOST_FOLLOWED_S:
                raise Unavailable(TOO_LONG)
            if now_s - shown_s > ALIVE_S:
                shown_s = now_s
                yield LogPart()
            self._clock.sleep(LOOK_S)
            known = self._look_again(known)

    def _read(self, known: _Known) -> Iterator[LogPart]:
        yield from self._notes(known.notes)
        for key in sorted(known.held):
            piece, worker = known.held[key]
            if not self._is_left_out(key):
                yield from self._lines(piece, worker)

    def _notes(self, notes: Sequence[str]) -> Iterator[LogPart]:
        for note in notes:
            if note not in self._told:
                self._told.add(note)
                yield LogPart(run=self._run, note=note)

    def _is_left_out(self, key: PieceKey) -> bool:
        """Whether the caller has all of a piece."""
        epoch, _ = self._query.positions.get(key.shard, (0, 0))
        return key.epoch < epoch

    def _begin(self, key: PieceKey) -> int:
        epoch, byte = self._query.positions.get(key.shard, (0, 0))
        return self._ends.get(key, byte if epoch == key.epoch else 0)

    def _lines(self, piece: Piece, worker: NodeLoad) -> Iterator[LogPart]:
        """Yield the lines of a piece that are there and new."""
        at = self._begin(piece.key)
        while True:
            try:
                found = self._client(worker).log_passage(
                    self._query.name, piece.id, piece.key, at, self._brief()
                )
            except CrawlerError as error:
                why = f"{worker.node.id} does not answer: {error}"
                return (yield from self._notes([f"{named(piece.key)} is not whole: {why}"]))
            if not found.data:
                return
            if found.begin > at:
                yield from self._notes([dropped(piece.key, found.begin - at)])
            at = self._ends[piece.key] = found.end
            yield LogPart(piece.key, piece.run, worker.node.id, found.begin, found.data)

    # -- what there is ---------------------------------------------------------------------------

    def _look(self) -> _Known:
        """Ask the leader and all workers. Raises NotFound, and whatever calls raise."""
        head, shards = resources_of(self._backend, self._query.name, self._brief())
        found, silent = self._asked()
        pieces = {key: held for key, held in latest(found).items() if held[0].id == id_name(head)}
        runs = sorted({piece.run for piece, _ in pieces.values()})
        self._run = self._query.run or head.run
        if self._run > head.run or (self._query.run and self._run not in runs and not silent):
            raise NotFound(no_run(head, self._run, runs))
        epochs = {each.spec.shard: each.epoch for each in (head, *shards)}
        held = {key: each for key, each in pieces.items() if each[0].run == self._run}
        known = _Known(self._run, self._is_over(head), epochs, held)
        known.notes += self._gaps(head, shards, pieces, silent)
        return known

    def _look_again(self, known: _Known) -> _Known:
        """Ask the leader; the workers too if a piece is new, and now and then if one is lacking."""
        try:
            head, shards = resources_of(self._backend, self._query.name, self._brief())
        except NotFound:
            known.has_ended = True
            known.notes.append("the task was deleted")
            return known
        except Retryable:
            known.notes.append(NO_LEADER)
            return known
        epochs = {each.spec.shard: each.epoch for each in (head, *shards)}
        lacking = any(
            PieceKey(epoch, shard) not in known.held for shard, epoch in epochs.items() if epoch
        )
        known.has_ended = self._is_over(head)
        if epochs != known.epochs:
            self._backoff.reset()
        elif not lacking or self._clock.monotonic() < self._ask_s:
            return known
        self._ask_s = self._clock.monotonic() + self._backoff.next_s()
        return self._asked_again(known)

    def _asked_again(self, known: _Known) -> _Known:
        try:
            return self._look()
        except Retryable:
            known.notes.append(NO_LEADER)
            return known

    def _is_over(self, head: Resource) -> bool:
        return head.run > self._run or head.has_ended

    def _asked(
        self,
    ) -> tuple[list[tuple[Piece, NodeLoad]], list[tuple[NodeLoad, str]]]:
        """Ask all workers. Return the pieces, and the workers that do not answer, with why."""
        answers, silent = ask_all(
            workers_of(self._backend, self._brief()),
            lambda worker: self._client(worker).log_pieces(self._query.name, self._brief()),
        )
        return [(piece, worker) for worker, pieces in answers for piece in pieces], silent

    def _client(self, worker: NodeLoad) -> WorkerClient:
        address = worker.node.address
        if address not in self._clients:
            self._clients[address] = self._reach(address)
        return self._clients[address]

    def _close(self) -> None:
        while self._clients:
            self._clients.popitem()[1].close()

    def _brief(self) -> Call:
        return brief(self._call)

    def _gaps(
        self,
        head: Resource,
        shards: Sequence[Resource],
        pieces: Mapping[PieceKey, tuple[Piece, NodeLoad]],
        silent: Sequence[tuple[NodeLoad, str]],
    ) -> Iterator[str]:
        """Yield what is not there, and why."""
        for worker, why in silent[:MOST_TOLD]:
            yield f"what {worker.node.id} has is left out, because it does not answer: {why}"
        if len(silent) > MOST_TOLD:
            yield f"{len(silent) - MOST_TOLD} other workers do not answer either"
        for resource in (head, *shards):
            missing = [
                key
                for key in keys_of_run(resource, pieces, self._run)
                if key not in pieces and not self._is_left_out(key)
            ]
            for key in missing[-MOST_TOLD:]:
                known = "has no more lines here" if key in self._ends else "is missing"
                yield f"{named(key)} {known}: {why_missing(resource, key)}"
            if len(missing) > MOST_TOLD:
                yield f"{len(missing) - MOST_TOLD} earlier pieces are missing too"
