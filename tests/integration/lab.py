"""A cluster as a person starts it by hand: the command line's flags, real processes, a real etcd.

The tasks crawl a site that never ends, so that they run until somebody stops them. Each worker
names itself in its requests, and each run too: the site sees who crawls what, whatever etcd says.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from crawler import cli
from crawler.coordination.etcd.store import EtcdStore
from crawler.errors import Unavailable
from crawler.local.cluster import get_json, is_ready
from crawler.local.etcd import EmbeddedEtcd
from crawler.local.etcd_binary import binary
from crawler.local.ports import free_ports
from crawler.local.processes import LocalProcess
from crawler.node.membership.addresses import first_ipv4
from tests import forks
from tests.faults.proxy import Link
from tests.integration.endless import SPIDER, EndlessSite
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
TTL_S = 2
"""Time to live of the nodes' leases; etcd takes up to half a second longer to see them end."""
TASKS = [f"task-{number}" for number in range(1, 6)]
FOUR = ("master-1", "master-2", "worker-1", "worker-2")

CONFIG = """
coordination: {{lease_ttl_s: {ttl_s}}}
crawl: {{delay_s: {delay_s}, host_concurrency: 8, robots: false, resume: {resume}}}
worker: {{report_s: {report_s}, private_targets: [127.0.0.0/8]}}
scheduler: {{poison_after: 0}}  # workers die of everything here but their tasks
logs: {{style: json}}
spiders: [{spiders}]
"""

PACE = {"delay_s": 0.1, "report_s": 0.1, "resume": "true"}
"""How long a worker waits between two requests to one host, and at most until it reports; and
whether tasks go on where they were."""


@dataclass(frozen=True)
class LabNode:
    """A node of the lab, running or not; its ports stay."""

    role: str
    name: str
    http: int
    grpc: int
    process: LocalProcess

    @property
    def title(self):
        """`worker-1`"""
        return f"{self.role}-{self.name}"

    @property
    def id(self):
        return f"go.micro.server.{self.role}-{self.name}"

    @property
    def address(self):
        """What it must tell the others, as it was started with `:port`."""
        return f"{first_ipv4()}:{self.grpc}"

    @property
    def candidate(self):
        """Its value in the election."""
        return f"master{self.name}-{self.address}"

    def call(self, method, path, body=None):
        """Status, headers and body of an HTTP request."""
        return call(self.http, method, path, body)


def is_alive(http):
    """Whether the node at that address answers, ready or not."""
    try:
        return get_json(f"http://{http}/healthz", 1.0) is not None
    except Unavailable:
        return False


class Lab:
    """An etcd, the site, and the nodes that are started in it. Use it as a context manager."""

    def __init__(
        self,
        folder,
        endpoints=(),
        ttl_s=TTL_S,
        *,
        linked=False,
        own_hosts=False,
        python=sys.executable,
        **crawling,
    ):
        """Without the endpoints of an etcd it has one of its own.

        When `linked`, each node reaches etcd through links of its own, which can go bad; when
        `own_hosts`, each task crawls another host. `python` is the interpreter of the nodes;
        `crawling` replaces settings of PACE.
        """
        self.folder = folder
        self.ttl_s = ttl_s
        self.etcd = None if endpoints else EmbeddedEtcd()
        self.endpoints = list(endpoints)
        self.site = EndlessSite(own_hosts)
        self._linked = linked
        self._python = python
        self._links = {}
        self.pace = {**PACE, **crawling}
        self._nodes = {}

    def __enter__(self):
        for name in ("slow", "rare"):
            source = SPIDER.format(title=name.title(), name=name)
            (self.folder / f"{name}.py").write_text(source)
        self.write_settings("slow", "slow.py")
        self.write_settings("both", "slow.py, rare.py")
        if self.etcd is not None:
            self.etcd.start()
            self.endpoints = [self.etcd.endpoint]
        # What the tests look at must not hang when they take the first endpoint away.
        self.store = EtcdStore(self.endpoints[::-1])
        self.site.start()
        return self

    def __exit__(self, *_):
        for node in self._nodes.values():
            node.process.kill()
        for link in self.links():
            link.stop()
        self.store.close()
        if self.etcd is not None:
            self.etcd.stop()
        self.site.stop()

    def __getitem__(self, title):
        """The node `worker-1`, as it was last started."""
        return self._nodes[title]

    def add_spider(self, name, source, more=""):
        """Write a spider, and settings of its name for nodes that have it; `more` are further
        settings."""
        (self.folder / f"{name}.py").write_text(source)
        self.write_settings(name, f"{name}.py", more)

    def write_settings(self, name, spiders, more=""):
        """Write a file of settings: `start(…, config=name)` uses it."""
        text = CONFIG.format(ttl_s=self.ttl_s, spiders=spiders, **self.pace)
        (self.folder / f"{name}.yaml").write_text(f"{text}{more}\n")

    # -- processes ---------------------------------------------------------------------------

    def start(self, *titles, config="slow", ready=True, **environment):
        """Start those that do not run, and wait until each is ready, or answers at least."""
        for title in titles:
            if title not in self._nodes:
                self._nodes[title] = self._node(title, config, environment)
            self._nodes[title].process.start()
        until = is_ready if ready else is_alive
        for title in titles:
            node = self._nodes[title]
            eventually(lambda n=node: until(f"127.0.0.1:{n.http}"), what=f"{title} is up")

    def forget(self, title):
        """Stop a node, if it runs. It may be started with another program then, on other ports."""
        if title in self._nodes:
            self._nodes.pop(title).process.stop()

    def links(self, *titles):
        """The links between these nodes, or all of them, and etcd: one for each endpoint."""
        return [link for title in titles or self._links for link in self._links[title]]

    def nodes(self, role):
        """The nodes of a role that were started so far, running or not."""
        return [node for node in self._nodes.values() if node.role == role]

    def run(self, name, command, **environment):
        """Start any command in the root of the repository, as in a shell."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        shell = ["/bin/sh", "-c", f"cd {ROOT}; exec {command}"]
        environment = {"PATH": path, **environment}
        process = LocalProcess(name, shell, environment, self.folder / f"{name}.log")
        process.start()
        return process

    def fork(self, name, *arguments, **environment):
        """Start `crawler` with these arguments, without the cost of its start."""
        command, log = [*forks.COMMAND, *arguments], self.folder / f"{name}.log"
        process = forks.ForkedProcess(name, command, environment, log)
        process.start()
        return process

    def foreign_candidate(self):
        """A candidate written in Go, with etcd's own library: etcdctl."""
        command = f"{binary('etcdctl')} --endpoints={self.endpoints[-1]}"
        return self.run("foreign", f"{command} elect /resources/election foreign")

    def _node(self, title, config, environment):
        role, _, name = title.partition("-")
        http_port, grpc_port = free_ports(2)
        command = [self._python, "-m", "crawler", role, f"--id={name}"]
        command += [f"--http=:{http_port}", f"--grpc=:{grpc_port}"]
        command += ["--etcd", ",".join(self._endpoints_for(title))]
        command += ["--config", str(self.folder / f"{config}.yaml")]
        environment = {
            "PYTHONPATH": str(ROOT),
            "CRAWLER_CRAWL_USER_AGENT": title,
            **environment,
        }
        log = self.folder / f"{title}.log"
        may_fork = self._python == sys.executable and environment["PYTHONPATH"] == str(ROOT)
        kind = forks.ForkedProcess if may_fork else LocalProcess
        process = kind(title, command, environment, log)
        return LabNode(role, name, http_port, grpc_port, process)

    def _endpoints_for(self, title):
        if not self._linked:
            return self.endpoints
        self._links[title] = [Link(endpoint) for endpoint in self.endpoints]
        for link in self._links[title]:
            link.start()
        return [link.endpoint for link in self._links[title]]

    # -- what etcd holds ------------------------------------------------------------------------

    def keys(self, prefix="/"):
        """Key → bytes and mod revision of all below a prefix."""
        return {kv.key: (kv.value, kv.mod_revision) for kv in self.store.range(prefix).items}

    def resources(self):
        """Name → bytes and mod revision of all resources."""
        found = self.keys("/resources/").items()
        return {
            key.removeprefix("/resources/"): value
            for key, value in found
            if not key.startswith("/resources/election/")
        }

    def resource(self, name):
        """A resource's value, None without one."""
        kv = self.store.get(f"/resources/{name}")
        return None if kv is None else json.loads(kv.value)

    def running(self, *names):
        """Name → the worker that runs it, of those tasks that run."""
        found = {name: self.resource(name) for name in names or TASKS}
        return {
            name: value["AssignedNode"].partition("|")[0].removeprefix("go.micro.server.")
            for name, value in found.items()
            if value and value.get("State") == "running"
        }

    def all_on(self, worker):
        """Whether the five tasks run there, and nowhere else."""
        return self.running() == dict.fromkeys(TASKS, worker)

    def registered(self):
        """The registered nodes: `worker-1`."""
        return {key.rpartition("server.")[2] for key in self.keys("/micro/registry/")}

    def leading(self):
        """The value of the leading candidate, None without one."""
        candidates = self.store.range("/resources/election/").items
        leader = min(candidates, key=lambda kv: kv.create_revision, default=None)
        return leader and leader.value.decode()

    def masters(self):
        """The leading master of the two, and the other."""
        one, other = self["master-1"], self["master-2"]
        return (one, other) if self.leading() == one.candidate else (other, one)

    # -- tasks ----------------------------------------------------------------------------------

    def specification(self, name, spider="slow"):
        """A task that crawls the site for ever."""
        return {
            "name": name,
            "spider": spider,
            "parameters": {"start_urls": [self.site.url(name)]},
        }

    def add(self, name, spider="slow", **more):
        """Add a task at whichever master runs; what it answered. If a leader dies meanwhile, the
        outcome may be unknown (504). Then it is added again: to add it twice adds it once."""
        body = self.specification(name, spider) | more
        return self._ask("POST", "/crawler/resource", body, again=(503, 504))

    def delete(self, name):
        """Delete a task at whichever master runs."""
        self._ask("DELETE", f"/crawler/resource/{name}")

    def settle(self):
        """Two masters, two workers, nobody else; the five tasks and no other run, 3 and 2."""
        for title, node in self._nodes.items():
            if title not in FOUR:
                node.process.stop()
        self.start(*FOUR)
        eventually(lambda: self.registered() == set(FOUR), what="four nodes are registered")
        if not self._split():
            self._lay_out()
        eventually(self._comes_to_a_split, what="five tasks run, 3 and 2")
        eventually(lambda: all(map(self._has_begun, TASKS)), what="all have begun to crawl")

    def _has_begun(self, name):
        """Whether the run that etcd names has begun, and there is an item: one before it may have
        asked for pages too, and what it has asked for last may arrive when it is over."""
        value, folder = self.resource(name), self.folder / "items" / name
        begun = (folder / ".runs").read_text() if (folder / ".runs").is_file() else ""
        runs = [json.loads(line) for line in begun.splitlines()]
        mine = [run for run in runs if (run["id"], run["epoch"]) == (value["ID"], value["Epoch"])]
        files = [folder / f"{mine[-1]['files'][-1]}.jsonl.part"] if mine else []
        return any(path.is_file() and path.stat().st_size > 0 for path in files)

    def _lay_out(self):
        """Add the five tasks, and no other."""
        for name in self.resources():
            self.delete(name)
        for name in TASKS:
            self.add(name)

    def _comes_to_a_split(self):
        """Whether they run 3 and 2. A worker that was late to renew its lease, on a busy machine,
        has lost its tasks to the other, where they stay: then they are added anew."""
        if len(self.running()) == len(TASKS) and not self._split():
            self._lay_out()
        return self._split()

    def _split(self):
        owners = sorted(self.running().values())
        even = [owners.count("worker-1"), owners.count("worker-2")] in ([3, 2], [2, 3])
        return even and len(owners) == 5 and set(self.resources()) == set(TASKS)

    def _ask(self, method, path, body=None, again=(503,)):
        master = next(n for n in self._nodes.values() if n.role == "master" and n.process.alive)

        def asked():
            status, _, answer = master.call(method, path, body)
            assert status in (200, *again), answer
            return answer if status == 200 else None

        return json.loads(eventually(asked, what=f"{method} {path}"))


def call(port, method, path, body=None, timeout_s=10.0):
    """Status, headers and body of an HTTP request to this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        encoded = None if body is None else json.dumps(body)
        connection.request(method, path, encoded, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def crawler(*arguments, cwd=ROOT, **environment):
    """Run the command line to its end."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return forks.run(arguments, cwd=cwd, env=env, timeout_s=120)


def crawler_here(*arguments, cwd=ROOT, given=None, **environment):
    """As `crawler`, but in this process, which saves half a second: for one case of many, or what
    is refused before anything is started. `given` is what it reads as its input."""
    out, err, root = io.StringIO(), io.StringIO(), logging.getLogger()
    handlers, level, path = root.handlers[:], root.level, sys.path[:]
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    try:
        with contextlib.chdir(cwd), redirect_stdout(out), redirect_stderr(err):
            command = ["crawler", *map(str, arguments)]
            with (
                mock.patch.object(sys, "argv", command),
                mock.patch.dict(os.environ, environment),
                mock.patch.object(sys, "stdin", sys.stdin if given is None else io.StringIO(given)),
            ):
                status = cli.main()
    finally:
        root.handlers[:], sys.path[:] = handlers, path
        root.setLevel(level)
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def terminate(process):
    """Send SIGTERM and do not wait; when that was."""
    return _signal(process, signal.SIGTERM)


def interrupt(process):
    """Send SIGINT, as Ctrl-C does; when that was."""
    return _signal(process, signal.SIGINT)


def _signal(process, number):
    os.kill(process.pid, number)
    return time.monotonic()
