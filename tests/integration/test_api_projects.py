"""Projects over gRPC and HTTP: any master takes a bundle, and the leader records it."""

import os

import gevent
import pytest

from crawler.api.backend import Call
from crawler.api.rpc.client import Client
from crawler.api.rpc.peers import Peers
from crawler.api.rpc.project_calls import Upload
from crawler.api.trail import Trail
from crawler.clock import SystemClock
from crawler.coordination.keys import Keys
from crawler.coordination.memory import MemoryStore
from crawler.coordination.projects import Projects, encode_project
from crawler.coordination.store import Put
from crawler.deploy import bundle
from crawler.deploy.manifest import Manifest
from crawler.errors import Forbidden, InvalidArgument, NotFound
from crawler.model.access import Role
from crawler.model.projects import BundleFile, FileChange, Project, Version
from crawler.node.master import bundles as of_masters
from crawler.node.master.bundles import MasterBundles, shared_place
from crawler.settings.deploy import DeploySettings
from crawler.settings.sections import ApiSettings, CoordinationSettings, Settings
from crawler.supervision import Supervisor
from tests.unit.api.fakes import SECRET, FakeBackend, Known, Master, running
from tests.waiting import eventually

CALL = Call(20)
KEYS = Keys(CoordinationSettings())


@pytest.fixture
def made(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "shop.py").write_bytes(os.urandom(200_000))
    manifest = Manifest("shop", ["books"], ["shop.py"], "3.11")
    return bundle.make(folder, manifest, "", tmp_path / "shop.zip")


class Cluster:
    """A leader and a follower, each with bundles of its own."""

    def __init__(self, tmp_path, store):
        self.addresses = {}
        self.folders = {name: tmp_path / name for name in ("leader", "follower")}
        self.projects = {name: Projects(store, KEYS, SystemClock()) for name in self.folders}
        self.bundles = {name: self._bundles(name) for name in self.folders}
        self.backend, self.known, self.trail = FakeBackend(), Known(), Trail()
        about = {"tokens": self.known, "settings": ApiSettings(max_request_bytes=65_536)}
        self.leader = Master(self.backend, bundles=self.bundles["leader"], **about)
        self.follower = Master(bundles=self.bundles["follower"], trail=self.trail, **about)

    def _bundles(self, name):
        others = [each for each in self.folders if each != name]
        return MasterBundles(
            DeploySettings(max_mb=1),
            self.folders[name],
            self.projects[name],
            lambda: [self.addresses[each] for each in others],
            Peers(token=lambda: SECRET),
        )

    def kept(self, name):
        folder = self.folders[name]
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def cluster(tmp_path):
    store = MemoryStore(SystemClock())
    cluster = Cluster(tmp_path, store)
    cluster.store = store
    with running(cluster.leader, cluster.follower) as (leader, follower):
        cluster.addresses |= {"leader": leader.address, "follower": follower.address}
        follower.follow(leader.address)
        yield cluster
    store.close()


@pytest.fixture
def client(cluster):
    token = cluster.known.make(Role.ADMIN)
    client = Client(cluster.addresses["follower"], token=lambda: token)
    yield client
    client.close()


def upload(path, project="shop", roll=False):
    return Upload(project, path, roll)


def test_any_master_takes_a_bundle_and_the_leader_records_it(cluster, client, made):
    found = client.upload(upload(made.path), CALL).project
    assert found.current == made.digest
    version = found.versions[0]
    assert (version.bytes, version.spiders, version.requirements) == (made.bytes, ("books",), 0)
    assert version.by
    assert client.project("shop", CALL).project == found
    assert [view.project for view in client.projects(CALL)] == [found]
    assert cluster.kept("follower") == [f"{made.digest}.zip"]
    record = cluster.trail.last(1)[0]
    assert (record.action, record.object, record.outcome) == ("project.deploy", "shop", "done")
    assert record.id == made.digest


@pytest.fixture
def two(client, made, tmp_path):
    """The digests of two versions, the second deployed last."""
    folder = tmp_path / "second"
    folder.mkdir()
    (folder / "shop.py").write_text("second = True\n")
    manifest = Manifest("shop", ["books"], ["shop.py"], "3.11")
    second = bundle.make(folder, manifest, "", tmp_path / "second.zip")
    for each in (made, second):
        client.upload(upload(each.path), CALL)
    return made.digest, second.digest


def test_any_master_tells_what_is_in_a_version_and_how_two_differ(cluster, client, two):
    first, second = two
    text = cluster.known.make(Role.ADMIN)
    leader = Client(cluster.addresses["leader"], token=lambda: text)  # it has no bundle yet
    for asked in (client, leader):
        told = asked.bundle_files("shop", "", CALL)
        assert (told.digest, told.total) == (second, 2)
        assert told.files[1] == BundleFile("code/shop.py", 14)
        assert asked.bundle_files("shop", first[:12], CALL).files[1].bytes == 200_000
        told = asked.compare("shop", "", "", CALL)
        assert (told.before, told.after, told.changed, told.packages) == (first, second, 1, ())
        assert told.files == (FileChange("code/shop.py", 200_000, 14, note="too large to be "
                                         "compared line by line"),)  # fmt: skip
        back = asked.compare("shop", first, second, CALL).files[0]
        assert (back.before, back.after) == (14, 200_000)
    leader.close()


def test_http_tells_the_same_of_versions_as_grpc(cluster, client, two):
    first, second = two
    headers = {"Authorization": f"Bearer {cluster.known.make(Role.ADMIN)}"}
    web = cluster.leader.app.test_client()
    told = web.get("/crawler/projects/shop/files", headers=headers)
    assert (told.status_code, told.json["digest"]) == (200, second)
    assert told.json["files"][1] == {"name": "code/shop.py", "bytes": "14"}
    told = web.get(
        f"/crawler/projects/shop/diff?digest={second}&since={first[:12]}", headers=headers
    )
    assert told.json["files"] == [
        {
            "name": "code/shop.py",
            "before": "200000",
            "after": "14",
            "diff": "",
            "note": "too large to be compared line by line",
        }
    ]
    refused = web.get("/crawler/projects/shop/diff?digest=x", headers=headers)
    assert (refused.status_code, refused.json["message"]) == (
        400,
        "digest: 'x' is not allowed; allowed are 12 to 64 hexadecimal digits",
    )


def test_a_version_that_is_not_there_cannot_be_compared(cluster, client, two):
    first, _ = two
    with pytest.raises(NotFound, match=r"no version before .* is kept of project shop; name"):
        client.compare("shop", first, "", CALL)
    with pytest.raises(NotFound, match=f"no version '{'b' * 12}' is kept of project shop"):
        client.bundle_files("shop", "b" * 12, CALL)
    with pytest.raises(NotFound, match="no project 'toys'"):
        client.bundle_files("toys", "", CALL)


@pytest.mark.parametrize("about", [{"role": Role.OPERATOR}, {"role": Role.VIEWER}])
def test_code_is_shown_to_admins_alone(cluster, two, about):
    text = cluster.known.make(**about)
    client = Client(cluster.addresses["follower"], token=lambda: text)
    web = cluster.follower.app.test_client()
    try:
        for ask in (client.bundle_files, lambda *more: client.compare("shop", *more)):
            with pytest.raises(Forbidden):
                ask("shop" if ask == client.bundle_files else "", "", CALL)
        for path in ("files", "diff"):
            headers = {"Authorization": f"Bearer {text}"}
            told = web.get(f"/crawler/projects/shop/{path}", headers=headers)
            assert told.status_code == 403
    finally:
        client.close()


def test_a_bounded_admin_sees_no_code(cluster, two):
    text = cluster.known.make(Role.ADMIN, labels={"team": "a"})
    headers = {"Authorization": f"Bearer {text}"}
    web = cluster.leader.app.test_client()
    for path in ("files", "diff"):
        told = web.get(f"/crawler/projects/shop/{path}", headers=headers)
        assert (told.status_code, "shop.py" in told.text) == (404, False)


def test_a_bundle_comes_over_http_too(cluster, made):
    text = cluster.known.make(Role.ADMIN)
    web = cluster.follower.app.test_client()
    sent = {
        "data": made.path.read_bytes(),
        "headers": {"Authorization": f"Bearer {text}"},
        "content_type": "application/zip",
    }
    done = web.post("/crawler/projects/shop/bundles?roll=true", **sent)
    assert (done.status_code, done.json["current"], done.json["rolled"]) == (200, made.digest, 3)
    refused = web.post("/crawler/projects/shop/bundles?roll=perhaps", **sent)
    assert refused.json["message"] == "roll: 'perhaps' is not allowed; allowed: true, false"
    sent["data"] = b"no zip"
    assert web.post("/crawler/projects/shop/bundles", **sent).status_code == 400


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: path.write_bytes(b"no zip"), "the bundle is no sound ZIP file"),
        (lambda path: path.write_bytes(b""), "the bundle is no sound ZIP file"),
        (lambda path: path.write_bytes(bytes(1_000_001)), "the bundle has more than 1 MB"),
    ],
)
def test_what_is_no_bundle_is_refused_leaves_nothing_and_is_recorded(
    cluster, client, made, change, told
):
    change(made.path)
    with pytest.raises(InvalidArgument, match=told):
        client.upload(upload(made.path), CALL)
    assert cluster.kept("follower") == []
    assert not cluster.backend.kept_projects
    record = cluster.trail.last(1)[0]
    assert (record.action, record.outcome) == ("project.deploy", "INVALID_ARGUMENT")


def test_a_bundle_of_another_project_is_refused(client, made):
    with pytest.raises(InvalidArgument, match="is one of project shop, and was sent for toys"):
        client.upload(upload(made.path, "toys"), CALL)
    with pytest.raises(InvalidArgument, match=r"name: 'a/b' is not allowed; allowed are 1 to 64"):
        client.upload(upload(made.path, "a/b"), CALL)


def test_a_node_gets_a_bundle_from_any_master(cluster, client, made):
    client.upload(upload(made.path), CALL)
    node = Client(cluster.addresses["leader"], token=lambda: SECRET)
    try:
        assert b"".join(node.bundle(made.digest, CALL)) == made.path.read_bytes()
        assert cluster.kept("leader") == [f"{made.digest}.zip"]
        with pytest.raises(NotFound, match="no master has bundle 'cccccccccccc'"):
            list(node.bundle("c" * 64, CALL))
    finally:
        node.close()


def test_a_master_keeps_what_projects_name_and_removes_the_rest(cluster, client, made, monkeypatch):
    client.upload(upload(made.path), CALL)
    monkeypatch.setattr(of_masters, "BEGUN_S", -1.0)
    monkeypatch.setattr(of_masters, "TURN_S", 0.05)
    project = Project("shop", made.digest, (Version(made.digest), Version("f" * 64)))
    cluster.store.txn([], [Put(KEYS.project("shop"), encode_project(project))])
    left = cluster.folders["leader"]
    left.mkdir()
    (left / ".begun-x").write_bytes(b"cut off")
    lately, long_ago, named = (left / f"{digit * 64}.zip" for digit in "def")
    for path in (lately, long_ago, named):
        path.write_bytes(b"a bundle")
    for path in (long_ago, named):
        os.utime(path, (10**9, 10**9))
    supervisor = Supervisor("test", clock=SystemClock())
    cluster.projects["leader"].mirror.start(supervisor)
    keeping = gevent.spawn(cluster.bundles["leader"].keep_forever)
    try:
        kept = sorted([f"{made.digest}.zip", lately.name, named.name])
        eventually(lambda: cluster.kept("leader") == kept)
        assert named.stat().st_mtime > 10**9, "that is when a project named it last"
    finally:
        keeping.kill()
        supervisor.stop()


def test_with_a_url_all_masters_share_what_is_deployed(cluster, client, made, tmp_path):
    shared = tmp_path / "shared"
    place = shared_place(Settings(deploy=DeploySettings(url=f"file://{shared}")))
    about = (cluster.projects["leader"], list, Peers(), place)
    one, another = (
        MasterBundles(DeploySettings(), tmp_path / name, *about) for name in ("one", "another")
    )
    version = one.take("shop", [made.path.read_bytes()], "ann")
    assert [path.name for path in shared.iterdir()] == [f"{version.digest}.zip"]
    assert b"".join(another.give(version.digest, CALL)) == made.path.read_bytes()
    with pytest.raises(NotFound, match="no master has bundle"):
        another.give("c" * 64, CALL)


def test_a_record_of_what_is_no_bundle_is_refused(cluster):
    node = Client(cluster.addresses["leader"], token=lambda: SECRET)
    try:
        with pytest.raises(InvalidArgument, match="digest: 'x' is not allowed; allowed are the 64"):
            node.deploy("shop", Version("x"), False, CALL)
    finally:
        node.close()


def test_a_project_is_rolled_back_and_deleted(client, made, tmp_path):
    client.upload(upload(made.path), CALL)
    (tmp_path / "project" / "shop.py").write_text("another")
    later = bundle.make(tmp_path / "project", made.manifest, "", tmp_path / "b.zip")
    client.upload(upload(later.path), CALL)
    assert client.rollback("shop", "", False, CALL).project.current == made.digest
    back = client.rollback("shop", later.digest[:12], True, CALL)
    assert (back.project.current, back.rolled) == (later.digest, 1)
    with pytest.raises(InvalidArgument, match="digest: 'abc' is not allowed; allowed are 12 to 64"):
        client.rollback("shop", "abc", False, CALL)
    assert client.delete_project("shop", CALL).project.name == "shop"
    with pytest.raises(NotFound, match="no project 'shop'"):
        client.project("shop", CALL)
