"""What tests of the history share."""

from crawler.history.events import Seen
from crawler.model.records import Counts, Owner, Resource, Spec, State

FIRST, SECOND = Owner("w-1", "a:1", 5), Owner("w-2", "b:1", 6)


def added(number=0, **spec):
    """A task that was just added, of an id and at a revision of its own."""
    return Resource(
        Spec(f"x-{number}", **spec),
        id=str(1000 + number),
        creation_time=10 + number,
        mod_revision=10 + number,
    )


def life(number=0, revision=None, **spec):
    """The resources of a task that is added, placed, runs, and is done."""
    new = added(number, **spec)
    placed = new.given_to(FIRST, 1, 20 + number).replace(mod_revision=revision or 100 + number)
    running = placed.replace(state=State.RUNNING)
    return [new, placed, running, running.replace(state=State.DONE, counts=Counts(3, 2, 1, 0.5))]


def changes(resources, now_ns=1000, who=""):
    """The changes from each of the resources to the next."""
    pairs = zip([None, *resources], resources)
    return [Seen(before, after, now_ns + n, who) for n, (before, after) in enumerate(pairs)]
