"""One watch of etcd on its own stream. It counts as alive only while etcd shows signs of life."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gevent.event import Event as Signal
from pyetcd.etcdrpc import rpc_pb2

from crawler.coordination.etcd import wire
from crawler.coordination.etcd.client import EtcdClient, Stream
from crawler.coordination.etcd.failures import FAILURES, StaleToken, Stuck, cancelled
from crawler.coordination.etcd.patience import Patience
from crawler.coordination.store import Batch
from crawler.errors import Compacted, StoreRefused, Unavailable
from crawler.supervision import run_aside


class EtcdWatch:
    """Batches of events as etcd sends them.

    A frozen etcd keeps its connections open and sends nothing. So a watch that received nothing for
    half of `silence_s` asks for its progress. If no answer arrives within `silence_s`, the
    iteration raises Unavailable. On a busy hub that takes longer, because the answer takes longer.

    The revision in an answer about progress is not used: before etcd 3.5.8 it may arrive before
    events of lower revisions.
    """

    def __init__(self, client: EtcdClient, create: Any, revision: int, silence_s: float) -> None:
        """Events before `revision` are left out, if `create` asks for some."""
        self._client = client
        self._revision = revision
        self._create = create
        self._silence_s = silence_s
        self._closing = Signal()
        self._asking = Signal()
        self._begun = False
        self._stream = self._open()
        client.counts.watches += 1

    def close(self) -> None:
        """Cancel the stream. It may be called again."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._asking.set()
        self._client.counts.watches -= 1
        run_aside("the end of a watch", self._stream.answers.cancel, patience_s=0)

    def __iter__(self) -> Iterator[Batch]:
        try:
            while True:
                answer = self._next()
                if answer is None:
                    return
                if answer.compact_revision:
                    raise Compacted(answer.compact_revision)
                if answer.canceled:
                    self._begin_anew(cancelled(answer.cancel_reason))
                elif answer.events:
                    yield from self._batches(answer)
                elif not answer.created:
                    self._client.counts.progress += 1
        finally:
            self.close()

    def _batches(self, answer: Any) -> Iterator[Batch]:
        events = answer.events
        if events[0].kv.mod_revision < self._revision:  # they are in the order of their revisions
            events = [event for event in events if event.kv.mod_revision >= self._revision]
        if events:
            yield wire.batch(events)

    def _next(self) -> Any:
        """Return the next answer; None if the watch was closed."""
        try:
            with Patience(self._silence_s, self._client.lag, self._asking.set):
                answer = next(self._stream.answers)
        except StopIteration:
            raise Unavailable("etcd ended the stream of the watch") from None
        except FAILURES as error:
            return self._interrupted(error)
        self._begun = self._begun or not answer.canceled
        return answer

    def _interrupted(self, error: Exception) -> None:
        """Raise the error, unless the watch itself was closed."""
        if self._closing.is_set():
            return
        endpoint = self._stream.connection.endpoint
        made = self._client.failed(self._stream.connection, error, write=False)
        if isinstance(made, StaleToken):
            self._client.forget(self._stream.metadata)
        if isinstance(error, Stuck):
            self._client.counts.silent_watches += 1
            made = Unavailable(
                f"the watch is silent: nothing from {endpoint} in {self._silence_s} s"
            )
        raise made from error

    def _begin_anew(self, error: Exception) -> None:
        """Open a watch once more that was refused at its start, perhaps because of its token.

        etcd 3.5.1 says "permission denied" about an old token too. Raises the error if the watch
        had begun, or was refused twice.
        """
        fresh = not self._begun and isinstance(error, StaleToken | StoreRefused)
        if not fresh or not self._client.forget(self._stream.metadata):
            raise error
        self._begun = True
        self._stream.answers.cancel()
        self._stream = self._open()

    def _open(self) -> Stream:
        """Open the stream. A greenlet that is killed meanwhile leaves none behind."""
        try:
            return self._client.stream(self._requests())
        except BaseException:
            # gRPC may wait for the next request already, and nobody could ever cancel the stream.
            self._closing.set()
            self._asking.set()
            raise

    def _requests(self) -> Iterator[Any]:
        """Yield the requests. The stream stays open as long as this generator runs."""
        yield rpc_pb2.WatchRequest(create_request=self._create)
        progress = rpc_pb2.WatchRequest(progress_request=rpc_pb2.WatchProgressRequest())
        while self._asking.wait() and not self._closing.is_set():
            self._asking.clear()
            yield progress
