"""A leader's passes without a leader: tasks, workers, and a placer between them."""

from crawler.model.records import Node, Owner, Resource, Spec, State
from crawler.node.master.draft import Draft
from crawler.node.master.placement import Placer
from crawler.node.master.workers import WorkerSnapshot
from crawler.scheduler.cluster_state import ClusterState
from crawler.scheduler.framework import Framework
from crawler.settings.scheduler import SchedulerSettings

W1 = Node("w-1", "h:1", incarnation=10)
W2 = Node("w-2", "h:2", incarnation=20)


def worker(number, **about):
    """A worker that is registered, `w-1` and so on."""
    return Node(f"w-{number}", f"h:{number}", incarnation=number * 10, **about)


def back(worker, incarnation, first=None, hung=""):
    """The same process under a new registration, as it comes back after it lost its lease."""
    metadata = {"process": str(first or worker.incarnation)}
    if hung:
        metadata["hung"] = f"{worker.incarnation} {hung}"
    return Node(worker.id, worker.address, metadata=metadata, incarnation=incarnation)


def stored(name="a", owner=W1, **fields):
    """A task as etcd has it."""
    given_owner = Owner(owner.id, owner.address, owner.incarnation) if owner else None
    fields = {"state": State.RUNNING, "id": "1", "creation_time": 5, "epoch": 3, **fields}
    spec = fields.pop("spec", Spec(name))
    return Resource(spec, owner=given_owner, mod_revision=fields.pop("revision", 7), **fields)


class Scene:
    """What is stored, who lives, and what a pass makes of it."""

    def __init__(self, *resources, workers=(W1,), ttl_s=0.0, **settings):
        self.stored = {resource.name: resource for resource in resources}
        self.cluster_state = ClusterState("group")
        self.live = {}
        self.spared = frozenset()
        self.hosts_lost = {}
        self.now_s = 1000.0
        for worker in workers:
            self.join(worker)
        for resource in resources:
            self.cluster_state.see(resource.name, resource)
        self._settings = settings
        settings = SchedulerSettings(**settings)
        framework = Framework("least-load", seed=1)
        self.placer = Placer(self.cluster_state, framework, settings, ttl_s=ttl_s)
        self._revision = 100
        self._ids = iter(range(1000, 10_000))

    def join(self, worker):
        self.live[worker.id] = worker
        self.cluster_state.workers.join(worker)

    def leave(self, id):
        del self.live[id]
        self.cluster_state.workers.leave(id)

    def succeeded(self):
        """The same cluster under another leader, which knows only what is stored."""
        scene = Scene(*self.stored.values(), workers=self.live.values(), **self._settings)
        scene.now_s, scene._revision = self.now_s, self._revision
        return scene

    def add(self, *specs):
        """Store new tasks."""
        for spec in specs:
            created = int(self.now_s * 1e9)
            self.store(Resource(spec, id=spec.name, creation_time=created))

    def store(self, resource):
        """Somebody stores a task."""
        self._revision += 1
        resource = resource.replace(mod_revision=self._revision)
        self.stored[resource.name] = resource
        self.cluster_state.see(resource.name, resource)

    def draft(self):
        return Draft(self.stored.get, lambda: next(self._ids), lambda: 99, self.cluster_state.see)

    def place(self, draft=None):
        """A pass on a draft, which is not committed; the workers declared dead."""
        cordoned = self.cluster_state.workers.cordoned
        workers = WorkerSnapshot(self.live, self.spared, cordoned, self.hosts_lost)
        draft = draft or self.draft()
        placed = self.placer.place(draft, workers, self.now_s, int(self.now_s * 1e9))
        return draft, placed

    def settle(self):
        """Passes, each one committed, until nothing is left to place."""
        while True:
            draft, placed = self.place()
            for change in draft.changes():
                if change.after is None:
                    self.stored.pop(change.name, None)
                    self.cluster_state.see(change.name, None)
                else:
                    self.store(change.after)
            if not placed.more:
                return self.owners()

    def owners(self):
        """Task → the worker that has it; None for one that waits."""
        return {name: r.owner.node_id if r.owner else None for name, r in self.stored.items()}
