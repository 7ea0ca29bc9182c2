"""The API as it is used from a shell: curl at the leader, and at a master that follows."""

import json
import shlex
import shutil
import subprocess

import pytest

from crawler.local.ports import free_ports
from tests.integration.lab import Lab, call
from tests.waiting import PATIENCE_S, eventually

ADD = (
    """curl -H 'content-type: application/json' -d '{"id":"zjx","name":"task-test-4"}' """
    "http://localhost:8081/crawler/resource"
)
DELETE = (
    """curl -X DELETE -H 'content-type: application/json' -d '{"name":"task-test-4"}' """
    "http://localhost:8081/crawler/resource"
)
"""As the interface has them, for the usual port."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        lab.start("master-1", "master-2", "worker-2")
        eventually(lambda: lab.masters()[0].call("GET", "/crawler/resource")[0] == 200)
        yield lab


@pytest.fixture(params=["leader", "follower"])
def master(lab, request):
    return lab.masters()[request.param == "follower"]


def test_add_and_delete_answer_as_the_interface_says(lab, master):
    worker = lab["worker-2"]
    placed = f'{{"id":"{worker.id}","Address":"{worker.address}"}}'
    assert curl(ADD, master) == (200, placed)
    assert lab.resource("task-test-4")["AssignedNode"] == f"{worker.id}|{worker.address}"
    assert curl(DELETE, master) == (200, "{}")
    assert lab.resource("task-test-4") is None


def test_deleting_what_is_not_there_is_told(master):
    refused = '{"code":5,"message":"no such task","details":[]}'
    assert curl(DELETE, master) == (404, refused)


def test_adding_twice_is_one_task_and_another_specification_is_refused(lab, master):
    first = curl(ADD, master)
    stored = lab.resources()
    assert curl(ADD, master) == first
    other = ADD.replace('"name"', '"spider":"other","name"')
    status, refusal = curl(other, master)
    assert (status, json.loads(refusal)["code"]) == (409, 6)
    eventually(lambda: lab.resource("task-test-4")["State"] == "failed")
    assert lab.resources().keys() == stored.keys()
    assert lab.resource("task-test-4")["ID"] == json.loads(stored["task-test-4"][0])["ID"]
    assert curl(DELETE, master) == (200, "{}")


def test_every_master_tells_the_leader(lab, master):
    leader = lab.masters()[0]
    told = f'{{"id":"{leader.candidate}","address":"{leader.address}"}}'
    assert curl("curl http://localhost:8081/crawler/leader", master) == (200, told)


def test_a_worker_has_health_and_no_api(lab):
    worker = lab["worker-2"]
    assert curl("curl http://localhost:8081/healthz", worker) == (200, '{"alive":true}')
    assert curl("curl http://localhost:8081/readyz", worker)[0] == 200
    assert curl("curl http://localhost:8081/crawler/leader", worker)[0] == 404


def test_without_a_leader_it_says_when_to_try_again(lab):
    (nowhere,) = free_ports(1)
    http, grpc = free_ports(2)
    flags = (f"--http=127.0.0.1:{http}", f"--grpc=127.0.0.1:{grpc}", f"--etcd=127.0.0.1:{nowhere}")
    process = lab.fork("alone", "master", *flags)
    try:
        eventually(lambda: "node started" in process.tail(), what="it serves without etcd")
        assert_unavailable(http, "GET", "/crawler/leader")
        assert_unavailable(http, "GET", "/crawler/resource")
        assert_unavailable(http, "POST", "/crawler/resource", {"name": "task"})
        assert call(http, "GET", "/healthz")[0] == 200
        assert call(http, "GET", "/readyz")[0] == 503
    finally:
        assert process.stop() == 0


def assert_unavailable(port, method, path, body=None):
    status, headers, answer = call(port, method, path, body)
    assert (status, json.loads(answer)["code"]) == (503, 14)
    assert int(headers["Retry-After"]) >= 1


def curl(command, node):
    """Status and body of a command of the interface, at that node instead of the usual port."""
    command = command.replace(":8081", f":{node.http}")
    if shutil.which("curl") is None:
        return _imitated(shlex.split(command)[1:], node)
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} --silent --write-out '\\n%{{http_code}}'"],
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE_S,
        check=True,
    )
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def _imitated(arguments, node):
    """What curl does with the arguments above, where there is no curl."""
    path = "/" + arguments[-1].split("/", 3)[3]
    body = arguments[arguments.index("-d") + 1] if "-d" in arguments else None
    method = "DELETE" if "-X" in arguments else "POST" if body else "GET"
    status, _, answer = node.call(method, path, body and json.loads(body))
    return status, answer.decode()
