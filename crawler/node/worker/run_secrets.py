"""Gives a run the values of the secrets that its task names, when it starts.

They are read from etcd just then. So a run keeps what it had when a secret changes, and the next
run has the new value.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from crawler import redaction
from crawler.clock import Backoff, Clock
from crawler.coordination.sealing import CannotUnseal, NoKey
from crawler.coordination.secrets import Secrets
from crawler.errors import CrawlerError, Retryable
from crawler.logs import get_logger
from crawler.model.secrets import names_in
from crawler.node.run.run import Run

log = get_logger(__name__)


class RunSecrets:
    """Reads secrets for the runs of a worker."""

    def __init__(self, secrets: Secrets, clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock

    @contextmanager
    def given(self, run: Run) -> Iterator[bool]:
        """A context in which a run has what its task names, and texts hide it. It tells whether the
        run can begin: if a secret is not there, the run has failed. If this worker lacks the key,
        it is interrupted: another worker may have that."""
        if names_in(run.resource.spec.parameters):
            from crawler.engine.http.url_forms import forms_in_urls  # most workers have no secrets

            redaction.know(forms_in_urls)
        can_begin = self._give(run)
        secrets = (run.secrets, run.former)
        redaction.remember(*secrets)
        try:
            yield can_begin
        finally:
            redaction.let_go(*secrets)

    def _give(self, run: Run) -> bool:
        names = names_in(run.resource.spec.parameters)
        backoff = Backoff(most_s=2.0)
        while names and not run.stops:
            try:
                opened = self._secrets.opened(names)
            except Retryable as error:
                log.warning("a run waits for its secrets", task=run.name, why=str(error))
                self._clock.sleep(backoff.next_s())
            except (CannotUnseal, NoKey) as error:
                log.error("this worker cannot open a secret", task=run.name, why=str(error))
                run.interrupt(str(error), charged=False)
                return False
            except CrawlerError as error:
                run.fail(f"{error}; then: crawler again {run.resource.spec.task}")
                return False
            else:
                run.secrets = {name: each.value for name, each in opened.items()}
                run.former = {name: each.former for name, each in opened.items() if each.former}
                return True
        return not names
