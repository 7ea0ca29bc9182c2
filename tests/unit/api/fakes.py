"""A leader's backend in memory, and masters around it, for the tests of both transports."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import grpc

from crawler.api.backend import Call, NodeLoad, Page, Submission
from crawler.api.doors import Doors, NoTokens
from crawler.api.health import Health
from crawler.api.http.app import build_app
from crawler.api.limiter import RateLimiter
from crawler.api.rpc.crawls_client import CrawlsClient
from crawler.api.rpc.peers import Peers
from crawler.api.rpc.server import SERVICE_NAME, RpcServer
from crawler.api.rpc.servicer import Servicer
from crawler.api.service import Service
from crawler.api.trail import Trail
from crawler.clock import SystemClock
from crawler.coordination.token_secret import hash_of, new_parts, new_salt
from crawler.dashboard.dashboard import Dashboard
from crawler.errors import AlreadyExists, InvalidArgument, NotFound
from crawler.metrics import Metrics
from crawler.model.access import NewToken, Role, Token
from crawler.model.constraints import Effect, Taint
from crawler.model.logs import Passage, Piece, PieceKey
from crawler.model.policy import (
    LAST,
    STRATEGY,
    DryRun,
    Explanation,
    Fault,
    Judgement,
    Move,
    PluginView,
    Policy,
    SchedulerView,
    Score,
    Share,
    WorkerVerdict,
)
from crawler.model.projects import Project, ProjectView
from crawler.model.projects import absent as no_project
from crawler.model.records import (
    NO_COUNTS,
    NOT_PAUSED,
    Leader,
    Node,
    Owner,
    Pause,
    Resource,
    State,
    WorkerLoad,
)
from crawler.model.schedules import Schedule, ScheduleView, absent
from crawler.model.secrets import Secret
from crawler.model.sorting import TOLD_STATES, value_of
from crawler.settings.sections import ApiSettings
from tests.clients import Client

WORKER = Node(
    id="go.micro.server.worker-2",
    address="192.168.0.107:9089",
    metadata={"protocol": "grpc"},
    labels={"gpu": "yes"},
    spiders=frozenset({"quotes", "books"}),
    incarnation=7,
    capacity={"cpu": 4.0, "memory": 512.5},
    taints=(Taint("spot", "yes", Effect.NO_SCHEDULE),),
)
MASTER = Node(id="go.micro.server.master-1", address="192.168.0.107:9091")
CALL = Call(5.0)
SECRET = "the secret of the nodes"
STRATEGIES = ["least-load", "random"]
PLUGINS = [
    PluginView("gpu", "built in", 1, False, 1e6, ["filter_nodes", "score_nodes"]),
    PluginView("mine", "my-package 1.0", 2, True, 2.5, ["score_nodes"], 9, 1, 0.25, 2),
]


class Known(dict):
    """The tokens of a cluster, in memory."""

    are_known = True
    silence_s = 0.0

    def make(self, role=Role.ADMIN, **more):
        """Store a new token. Returns its text."""
        parts, salt = new_parts(), new_salt()
        self[parts.id] = Token(parts.id, "t", role, hash_of(parts.secret, salt), salt, **more)
        return parts.text


class FakeBackend:
    """Answers like a leader: every task goes to one worker, or to none while there is none."""

    def __init__(self, worker=WORKER):
        self.worker = worker
        self.resources = {}
        self.kept_secrets = {}
        self.kept_rules, self.known_alerts = {}, []
        self.kept_schedules = {}
        self.kept_projects = {}
        self.calls = []
        self.reports = []
        self.over = []
        self.events, self.known_runs = [], []
        """What it knows of the history."""
        self.records = []
        """What it knows of the audit."""
        self.waits, self.restarts = [], []
        """What the requests said about spiders that nobody offers, and about restarts."""
        self.loads = []
        self.known = Known()
        """The tokens."""
        self.policy = Policy("least-load", frozenset({"gpu"}), {"spread": 2.5})
        self.switched = False
        self.before = lambda: None
        """Called at the start of each request; may raise or wait."""

    def add(self, spec, call):
        return self.submit(spec, call).resource

    def submit(self, spec, call, wait_for_spider=False):
        self._enter(call)
        self.waits.append(wait_for_spider)
        known = self.resources.get(spec.name)
        if known is not None:
            if known.spec != spec:
                raise AlreadyExists(f"task {spec.name!r} exists with another specification")
            return Submission(known, False)
        owner = self.worker and Owner(self.worker.id, self.worker.address, self.worker.incarnation)
        resource = Resource(
            spec,
            id=str(1602250527540776960 + len(self.resources)),
            creation_time=1670841268798763000,
            owner=owner,
            epoch=1 if owner else 0,
            state=State.ASSIGNED if owner else State.PENDING,
            reason="" if owner else "no worker is up",
        )
        self.resources[spec.name] = resource
        return Submission(resource, True)

    def update(self, spec, call, restart=None, wait_for_spider=False):
        self._enter(call)
        self.waits.append(wait_for_spider)
        self.restarts.append(restart)
        self.resources[spec.name] = self._find(spec.name).replace(spec=spec)
        return self.resources[spec.name]

    def again(self, name, call):
        self._enter(call)
        found = self._find(name)
        self.resources[name] = found.replace(generation=found.generation + 1, counts=NO_COUNTS)
        return self.resources[name].replace(counts=found.counts)

    def pause(self, name, call):
        return self._live(name, call, paused=Pause("paused by me"), reason="paused by me")

    def resume(self, name, call):
        return self._live(name, call, paused=NOT_PAUSED, reason="")

    def stop(self, name, call):
        return self._live(name, call, stopped=True, state=State.FAILED, reason="stopped by me")

    def run(self, name, call):
        return self._live(name, call, stopped=False, run=2)

    def _live(self, name, call, **changes):
        self._enter(call)
        self.resources[name] = self._find(name).replace(**changes)
        return self.resources[name]

    def delete(self, name, call):
        self._enter(call)
        self._find(name)
        del self.resources[name]

    def get(self, name, call):
        self._enter(call)
        return self._find(name)

    def list(self, query, call):
        self._enter(call)
        if query.page_token.removesuffix("~") not in {"", *self.resources}:
            raise InvalidArgument(f"page_token: {query.page_token!r} is not one of ours")
        known = [r for _, r in sorted(self.resources.items()) if query.admits_in_any_state(r)]
        counts = dict.fromkeys(TOLD_STATES, 0) | Counter(r.told_state for r in known)
        found = [r for r in known if query.admits_state_of(r)]
        rest = [r for r in found if r.name > query.page_token]
        rest.sort(key=value_of(query.sort), reverse=query.descending)
        page = rest[: query.page_size]
        return Page(page, page[-1].name if len(page) < len(rest) else "", len(found), counts)

    def nodes(self, call):
        self._enter(call)
        load = WorkerLoad(0.5, 0.25)
        return [
            NodeLoad(MASTER, "master"),
            NodeLoad(WORKER, "worker", 2, 3, {"cpu": 1.5}, cordoned=True, load=load),
        ]

    def scheduler(self, call):
        self._enter(call)
        return self._view()

    def update_scheduler(self, change, call):
        self._enter(call)
        if change.strategy not in (None, *STRATEGIES):
            raise InvalidArgument(f"strategy: {change.strategy!r} is unknown")
        self.policy, self.switched = change.applied_to(self.policy), True
        return self._view()

    def dry_run(self, change, call):
        self._enter(call)
        if change.strategy not in (None, *STRATEGIES):
            raise InvalidArgument(f"strategy: {change.strategy!r} is unknown")
        return DryRun(
            change.applied_to(self.policy),
            *(3, 2, [Move("a", "", "w-1"), Move("b", "w-9", "w-1")]),
            [Move("c", "", "", "no worker suits: w-1 has no GPU")],
            *(5, 4, 1, [Move("d", "w-1", "w-2")]),
            [Share("w-1", 5, 7, 6), Share("w-2", 0, 0, 1)],
            [Fault("gold", "filter_nodes", "KeyError: 'karat'", "w-2")],
        )

    def reset_scheduler(self, call):
        self._enter(call)
        self.policy, self.switched = Policy("least-load"), False
        return self._view()

    def explain(self, name, call):
        self._enter(call)
        found = self._find(name)
        verdicts = [
            WorkerVerdict("w-1", 2, {"gpu": "has no GPU"}),
            WorkerVerdict("w-2", 1, {}, -2.0, (Score("spread", 10.0, 0.5, "zone=a"),), 3.0),
            WorkerVerdict("w-3", 0, {}, LAST, (), LAST),
        ]
        faults = [
            Fault("gold", "filter_nodes", "KeyError: 'karat'"),
            Fault("silver", STRATEGY, "ValueError: no price"),
            Fault("silver", STRATEGY, "ValueError: no date", "w-3"),
            Fault("gold", "filter_room", "KeyError: 'purity'", "w-1"),
            Fault("gold", "score_nodes", "KeyError: 'weight'", "w-2"),
        ]
        judgement = Judgement("least-load", "w-2", verdicts, faults)
        return Explanation(
            name, found.state.value, found.reason, "", "team-a", 3, "its turn", judgement
        )

    def drain(self, node, call):
        self._enter(call)
        return self._cordon(node, True)

    def uncordon(self, node, call):
        self._enter(call)
        return self._cordon(node, False)

    def set_secret(self, wish, call):
        self._enter(call)
        by = call.caller.name if call.caller else ""
        self.kept_secrets[wish.name] = found = Secret(wish.name, 5, by, "0123abcd")
        return found

    def secrets(self, call):
        self._enter(call)
        return sorted(self.kept_secrets.values(), key=lambda each: each.name)

    def delete_secret(self, name, call):
        self._enter(call)
        if name not in self.kept_secrets:
            raise NotFound(f"no secret {name!r}")
        return self.kept_secrets.pop(name)

    def add_schedule(self, wish, call):
        self._enter(call)
        found = self.kept_schedules.get(wish.name)
        if found is not None and found.schedule.wish != wish:
            raise AlreadyExists(f"schedule {wish.name!r} exists and is another one")
        return self._keep(Schedule(wish, 5, 5))

    def update_schedule(self, wish, call):
        before = self.schedule(wish.name, call).schedule
        return self._keep(before.changed_to(wish, 6))

    def schedule(self, name, call):
        self._enter(call)
        if name not in self.kept_schedules:
            raise NotFound(absent(name))
        return self.kept_schedules[name]

    def schedules(self, call):
        self._enter(call)
        return [view for _, view in sorted(self.kept_schedules.items())]

    def delete_schedule(self, name, call):
        self.schedule(name, call)
        return self.kept_schedules.pop(name)

    def pause_schedule(self, name, call):
        return self._keep(self.schedule(name, call).schedule.paused())

    def resume_schedule(self, name, call):
        return self._keep(self.schedule(name, call).schedule.resumed(7))

    def run_schedule(self, name, call):
        before = self.schedule(name, call).schedule
        return self._keep(replace(before, fired_ns=8, outcome="began"))

    def _keep(self, schedule):
        view = ScheduleView(schedule, ("2026-12-24T18:00:00+01:00",))
        self.kept_schedules[schedule.name] = view
        return view

    def deploy(self, project, version, roll, call):
        self._enter(call)
        before = self.kept_projects.get(project, Project(project))
        versions = (version, *(v for v in before.versions if v.digest != version.digest))
        kept = replace(before, current=version.digest, versions=versions)
        self.kept_projects[project] = kept
        return ProjectView(kept, 3 if roll else 0)

    def projects(self, call):
        self._enter(call)
        return [ProjectView(found) for _, found in sorted(self.kept_projects.items())]

    def project(self, name, call):
        self._enter(call)
        if name not in self.kept_projects:
            raise NotFound(no_project(name))
        return ProjectView(self.kept_projects[name])

    def rollback(self, name, digest, roll, call):
        found = self.project(name, call).project
        version = found.named(digest) if digest else found.before
        if version is None:
            raise NotFound(f"no version {digest!r} is kept of project {name}")
        kept = self.kept_projects[name] = replace(found, current=version.digest)
        return ProjectView(kept, 1 if roll else 0)

    def delete_project(self, name, call):
        found = self.project(name, call)
        del self.kept_projects[name]
        return found

    def create_token(self, wish, call):
        self._enter(call)
        text = self.known.make(wish.role, labels=wish.labels, expires_ns=wish.expires_ns)
        return NewToken(self.known[text.split("_")[1]], text)

    def tokens(self, call):
        self._enter(call)
        return list(self.known.values())

    def revoke_token(self, id, call):
        self._enter(call)
        if id not in self.known:
            raise NotFound(f"no token {id!r}")
        return self.known.pop(id)

    def _cordon(self, node, cordoned):
        if node not in (WORKER.id, "2"):
            raise NotFound(f"no worker {node!r} is registered")
        return NodeLoad(WORKER, "worker", 2, 3, {"cpu": 1.5}, cordoned=cordoned)

    def _view(self):
        return SchedulerView(self.policy, STRATEGIES, PLUGINS, self.switched, "")

    def audit(self, limit, call):
        self._enter(call)
        return self.records[-limit:]

    def history(self, name, limit, call):
        self._enter(call)
        return [each for each in self.events if each.task == name][-limit:]

    def runs(self, query, call):
        self._enter(call)
        return [each for each in self.known_runs if query.state in (None, each.state)]

    def alerts(self, call):
        self._enter(call)
        return self.known_alerts

    def alert_rules(self, call):
        self._enter(call)
        return [rule for _, rule in sorted(self.kept_rules.items())]

    def set_alert_rule(self, rule, call):
        self._enter(call)
        by = call.caller.name if call.caller else ""
        self.kept_rules[rule.name] = found = replace(rule, set_by=by)
        return found

    def delete_alert_rule(self, name, call):
        self._enter(call)
        if name not in self.kept_rules:
            raise NotFound(f"no rule {name!r}")
        return self.kept_rules.pop(name)

    def test_alert(self, channel, call):
        self._enter(call)
        if channel != "ops":
            raise NotFound(f"no channel {channel!r}; there are: ops")

    def report(self, node_id, reports, call, load, over=()):
        self._enter(call)
        self.over += over
        self.loads.append((node_id, load))
        self.reports += [(node_id, report) for report in reports]
        return [report.name for report in reports if report.name not in self.resources]

    def _enter(self, call):
        self.calls.append(call)
        self.before()

    def _find(self, name):
        if name not in self.resources:
            raise NotFound("no such task")
        return self.resources[name]


class FakeLogs:
    """The logs of a worker that has one line of the first task of a `FakeBackend`."""

    line = b'{"level": "INFO", "ts": "2026-12-01T01:02:03.004+00:00", "msg": "run started"}\n'

    def pieces(self, task):
        return [Piece(PieceKey(1), "1602250527540776960", 1, end=len(self.line))]

    def read(self, task, id, key, begin):
        return Passage(self.line[begin:], begin, False)


class FakeElection:
    """An election whose outcome a test sets."""

    def __init__(self, backend=None, leader=None):
        self.backend = backend
        self.observed = leader
        self.peers = Peers(token=lambda: SECRET)

    def leader(self):
        return self.observed

    def local_backend(self):
        return self.backend

    def remote_backend(self, leader):
        return self.peers.backend(leader.address)


def near(address):
    """A client of a worker on this machine. One elsewhere refuses at once."""
    return CrawlsClient(address if address.startswith("127.") else "127.0.0.1:1")


class Master:
    """What a master has of the API, with a gRPC server on a free port; leads when given a
    backend."""

    def __init__(
        self,
        backend=None,
        settings=None,
        max_calls=256,
        tokens=None,
        people=None,
        certificates=None,
        trail=None,
        clock=None,
        bundles=None,
        reach=near,
        has_pages=False,
    ):
        self.settings = settings or ApiSettings()
        self.election = FakeElection(backend)
        trail = trail or Trail()
        self.service = Service(self.election, trail, bundles)
        self.health = Health(SERVICE_NAME)
        self.metrics = Metrics()
        self.limiter = RateLimiter(self.settings, self.metrics)
        known = NoTokens() if tokens is None else tokens
        told = {"people": people, "on_refused": trail.refused}
        self.doors = Doors(known, lambda: SECRET, SystemClock(), **told)
        self.pages = self._pages(clock or SystemClock(), reach) if has_pages else None
        self.app = build_app(
            self.service,
            self.health,
            self.metrics,
            self.settings,
            limiter=self.limiter,
            doors=self.doors,
            clock=clock,
            reach=reach,
            pages=self.pages,
        )
        self.servicer = Servicer(self.service, self.settings, reach)
        self.server = RpcServer(
            "127.0.0.1:0",
            self.health,
            self.metrics,
            self.settings,
            servicer=self.servicer,
            limiter=self.limiter,
            doors=self.doors,
            certificates=certificates,
            max_calls=max_calls,
        )
        self.web = self.app.test_client()

    def _pages(self, clock, reach):
        secrets = (lambda: SECRET), str
        return Dashboard(self.service, self.doors, secrets, self.settings, clock, reach=reach)

    @property
    def address(self):
        return f"127.0.0.1:{self.server.port}"

    def follow(self, address):
        """Observe another master as the leader."""
        self.election.observed = Leader(f"master2-{address}", address)

    def stop(self):
        self.election.peers.close()
        if self.pages:
            self.pages.stop()
        self.server.stop(0.2)


@contextmanager
def running(*masters):
    """The masters with their gRPC servers listening."""
    with ExitStack() as stack:
        for master in masters:
            master.server.start()
            stack.callback(master.stop)
        yield masters


@contextmanager
def client_of(master, **more):
    """A client connected to a running master."""
    client = Client(master.address, **{"secret": lambda: SECRET, **more})
    try:
        yield client
    finally:
        client.close()


@contextmanager
def channel_to(master):
    """A bare channel to a running master, as a client of another make has one."""
    with grpc.insecure_channel(master.address) as channel:
        yield channel


def body_of(response):
    """The JSON of a response, which must be declared as such."""
    assert response.content_type == "application/json"
    return json.loads(response.data)
