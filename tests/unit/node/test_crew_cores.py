"""How many cores a worker may use, by its affinity and by the quotas of its cgroups."""

import os

import pytest

from crawler.node.crew.cores import cores

IN_V2 = "0::/pods/shop\n"
IN_V1 = "3:memory:/docker/ab\n2:cpu,cpuacct:/docker/ab\n0::/docker/ab\n"


@pytest.fixture(autouse=True)
def host(monkeypatch):
    """A machine of 64 cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))


@pytest.fixture
def tree(tmp_path):
    """Makes files: those of /proc/self/cgroup, and of cgroups."""

    def made(groups, files):
        for path, text in {"proc/self/cgroup": groups, **files}.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return made


def v1(folder, quota, period="100000\n"):
    return {
        f"sys/fs/cgroup/cpu/{folder}cpu.cfs_quota_us": quota,
        f"sys/fs/cgroup/cpu/{folder}cpu.cfs_period_us": period,
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("100000 100000\n", 1),
        ("150000 100000\n", 2),
        ("20000 100000\n", 1),
        ("400000 50000\n", 8),
        ("max 100000\n", 64),
        ("9900000 100000\n", 64),
        ("", 64),
        ("100000 0\n", 64),
    ],
)
def test_a_quota_of_version_2_counts_in_whole_cores(tree, text, found):
    assert cores(tree(IN_V2, {"sys/fs/cgroup/pods/shop/cpu.max": text})) == found


def test_the_least_quota_of_the_cgroup_and_its_parents_counts(tree):
    root = tree(
        IN_V2,
        {
            "sys/fs/cgroup/pods/shop/cpu.max": "800000 100000\n",
            "sys/fs/cgroup/pods/cpu.max": "300000 100000\n",
        },
    )
    assert cores(root) == 3


@pytest.mark.parametrize("groups", ["0::/\n", "0::/docker/of-the-host\n", "0::/../outside\n"])
def test_a_container_has_its_quota_at_the_root_of_what_it_sees(tree, groups):
    assert cores(tree(groups, {"sys/fs/cgroup/cpu.max": "200000 100000\n"})) == 2


@pytest.mark.parametrize("folder", ["docker/ab/", "docker/", ""])
def test_a_quota_of_version_1_counts(tree, folder):
    assert cores(tree(IN_V1, v1(folder, "250000\n"))) == 3


def test_version_1_without_a_quota_says_so(tree):
    assert cores(tree(IN_V1, v1("docker/ab/", "-1\n"))) == 64


def test_a_quota_of_another_cgroup_counts_nothing(tree):
    assert cores(tree(IN_V2, {"sys/fs/cgroup/pods/other/cpu.max": "100000 100000\n"})) == 64


def test_without_cgroups_the_affinity_counts(tmp_path, monkeypatch):
    assert cores(tmp_path) == 64
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert cores(tmp_path) == 1


def test_this_machine_has_some(monkeypatch):
    monkeypatch.undo()
    assert 1 <= cores() <= len(os.sched_getaffinity(0))
