"""Every key in etcd. Only this module knows their format."""

from __future__ import annotations

from crawler.settings.sections import CoordinationSettings

MASTER = "master"
WORKER = "worker"


class Keys:
    """Builds and reads keys from the prefixes of the settings."""

    def __init__(self, settings: CoordinationSettings) -> None:
        self._services = {MASTER: settings.master_service, WORKER: settings.worker_service}
        self._registry = settings.registry.rstrip("/")
        self.resources = settings.resources.rstrip("/") + "/"
        """The prefix of the resources."""
        self.election = settings.election.rstrip("/") + "/"
        """The prefix of the candidates."""
        self._tombstones = settings.tombstones.rstrip("/")
        self.snowflake = settings.snowflake
        self.cluster = settings.snowflake.rstrip("/") + "/cluster"
        """The key of the cluster's id."""
        self.decisions = settings.scheduler.rstrip("/") + "/"
        """The prefix of people's decisions about the scheduler."""
        self.policy = f"{self.decisions}policy"
        access = settings.access.rstrip("/")
        self.tokens = f"{access}/tokens/"
        """The prefix of the tokens."""
        self.node_secret = f"{access}/nodes"
        self.secrets = f"{access}/secrets/"
        """The prefix of the secrets of tasks."""
        self.schedules = settings.schedules.rstrip("/") + "/"
        """The prefix of the schedules."""
        self.projects = settings.projects.rstrip("/") + "/"
        """The prefix of the deployed projects."""
        self.alerts = settings.alerts.rstrip("/") + "/"
        """The prefix of all that concerns alerts."""
        self.alert_mark = f"{self.alerts}mark"

    def service(self, role: str) -> str:
        """Return the service name of a role."""
        return self._services[role]

    def node_id(self, role: str, name: str) -> str:
        """Return the id of a node: `go.micro.server.worker-2` for the worker named 2."""
        return f"{self._services[role]}-{name}"

    def registrations(self, role: str) -> str:
        """Return the prefix of the registrations of a role."""
        return f"{self._registry}/{self._services[role]}/"

    def registration(self, role: str, node_id: str) -> str:
        """Return the key of a node's registration."""
        return self.registrations(role) + node_id

    def tombstone(self, node_id: str) -> str:
        """Return the key of a worker's tombstone."""
        return f"{self._tombstones}/{node_id}"

    def cordon(self, node_id: str) -> str:
        """Return the key of a worker's cordon."""
        return f"{self.decisions}cordons/{node_id}"

    def token(self, id: str) -> str:
        """Return the key of a token."""
        return self.tokens + id

    def secret(self, name: str) -> str:
        """Return the key of a secret of tasks."""
        return self.secrets + name

    def schedule(self, name: str) -> str:
        """Return the key of a schedule."""
        return self.schedules + name

    def project(self, name: str) -> str:
        """Return the key of a project."""
        return self.projects + name

    def alert_rule(self, name: str) -> str:
        """Return the key of a rule of alerts."""
        return f"{self.alerts}rules/{name}"

    def alert(self, key: str) -> str:
        """Return the key of an alert."""
        return f"{self.alerts}found/{key}"

    def candidate(self, lease: int) -> str:
        """Return the key of a candidate in the election."""
        return f"{self.election}{lease:x}"

    def resource(self, name: str) -> str:
        """Return the key of a resource."""
        return self.resources + name

    def resource_name(self, key: str) -> str | None:
        """Return the name in a resource's key; None for other keys below the prefix."""
        name = key.removeprefix(self.resources)
        is_election = key == self.election.rstrip("/")
        return None if "/" in name or not name or is_election or not _is_text(name) else name


def _is_text(name: str) -> bool:
    """Whether a key is UTF-8. Other programs can write any bytes, but this one writes only
    UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
