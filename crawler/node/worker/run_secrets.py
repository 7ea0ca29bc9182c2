"""Gives a run the values of the secrets that its task names, when it starts.

They are read from etcd just then. So a run keeps what it had when a secret changes, and the next
run has the new value.
"""

from __future__ import annotations

from crawler import redaction
from crawler.clock import Backoff, Clock
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

    def give(self, run: Run) -> bool:
        """Give a run what its task names. Returns whether it can begin: if a secret is not there,
        or cannot be decrypted, the run has failed."""
        names = names_in(run.resource.spec.parameters)
        backoff = Backoff(most_s=2.0)
        while names and not run.stops:
            try:
                run.secrets = self._secrets.values(names)
            except Retryable as error:
                log.warning("a run waits for its secrets", task=run.name, why=str(error))
                self._clock.sleep(backoff.next_s())
            except CrawlerError as error:
                run.fail(str(error))
                return False
            else:
                redaction.remember(run.secrets)
                return True
        return not names
