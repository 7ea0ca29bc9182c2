"""Every key in etcd, and nothing else knows how one looks."""

from __future__ import annotations

from crawler.settings.sections import CoordinationSettings

MASTER = "master"
WORKER = "worker"


class Keys:
    """Builds and reads keys from the configured prefixes."""

    def __init__(self, settings: CoordinationSettings) -> None:
        self._services = {MASTER: settings.master_service, WORKER: settings.worker_service}
        self._registry = settings.registry.rstrip("/")
        self.resources = settings.resources.rstrip("/") + "/"
        """Prefix of the resources."""
        self.election = settings.election.rstrip("/") + "/"
        """Prefix of the candidates."""
        self._tombstones = settings.tombstones.rstrip("/")
        self.snowflake = settings.snowflake
        self.decisions = settings.scheduler.rstrip("/") + "/"
        """Prefix of what people decided about the scheduler."""
        self.policy = f"{self.decisions}policy"

    def service(self, role: str) -> str:
        """The service name of a role."""
        return self._services[role]

    def node_id(self, role: str, name: str) -> str:
        """`go.micro.server.worker-2` for the worker named 2."""
        return f"{self._services[role]}-{name}"

    def registrations(self, role: str) -> str:
        """Prefix of the registrations of a role."""
        return f"{self._registry}/{self._services[role]}/"

    def registration(self, role: str, node_id: str) -> str:
        """Key of one node's registration."""
        return self.registrations(role) + node_id

    def tombstone(self, node_id: str) -> str:
        """Key of the note that says which incarnation of a worker was declared dead."""
        return f"{self._tombstones}/{node_id}"

    def cordon(self, node_id: str) -> str:
        """Key of the note that a worker takes no tasks."""
        return f"{self.decisions}cordons/{node_id}"

    def candidate(self, lease: int) -> str:
        """Key of a candidate in the election."""
        return f"{self.election}{lease:x}"

    def resource(self, name: str) -> str:
        """Key of a resource."""
        return self.resources + name

    def resource_name(self, key: str) -> str | None:
        """The name in a resource's key; None for what else lies below the prefix."""
        name = key.removeprefix(self.resources)
        is_election = key == self.election.rstrip("/")
        return None if "/" in name or not name or is_election or not _is_text(name) else name


def _is_text(name: str) -> bool:
    """Whether a key is UTF-8, which is all we can write; etcd takes any bytes from others."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
