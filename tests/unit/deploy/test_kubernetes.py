"""The manifests of Kubernetes, checked against its schemas and the program's settings."""

import kubernetes_validate
import pytest
import yaml

from crawler.settings import config
from tests.unit.deploy.facts import (
    DATA,
    DEPLOY,
    ROLES,
    assert_has_time_to_stop,
    assert_is_command_of,
    assert_keeps_its_history,
    assert_writes_below_the_data,
    load,
    ports_of,
    variables,
)

VERSION = "1.37"
FILES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
MANIFESTS = [each for file in FILES for each in yaml.safe_load_all(file.read_text())]
OF_OTHERS = ("Kustomization", "ServiceMonitor")
"""Kinds that Kubernetes itself does not know."""
OWN = [each for each in MANIFESTS if each["kind"] not in OF_OTHERS]
WORKLOADS = {"master": "Deployment", "worker": "StatefulSet"}


def title(manifest):
    return f"{manifest['kind']}-{manifest.get('metadata', {}).get('name')}"


def the(kind, name):
    """The manifest of that kind and name."""
    [found] = [each for each in MANIFESTS if title(each) == f"{kind}-{name}"]
    return found


def template(role):
    return the(WORKLOADS[role], f"crawler-{role}")["spec"]["template"]


def container(role):
    [only] = template(role)["spec"]["containers"]
    return only


@pytest.mark.parametrize("manifest", OWN, ids=title)
def test_each_manifest_follows_the_schema_of_its_kind(manifest):
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_a_name_that_no_schema_knows_is_found():
    wrong = template("master") | {"kind": "Pod", "apiVersion": "v1"}
    wrong["spec"] = wrong["spec"] | {"restartPolicyy": "Always"}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_all_files_are_applied():
    resources = the("Kustomization", None)["resources"]
    assert sorted(resources) == [file.name for file in FILES if file.stem != "kustomization"]


@pytest.mark.parametrize("role", ROLES)
def test_a_pod_runs_a_node_without_rights(role):
    pod, node = template(role)["spec"], container(role)
    assert_is_command_of(role, node["args"])
    assert pod["securityContext"]["runAsNonRoot"]
    assert f"{pod['securityContext']['runAsUser']}" == "10001"
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert node["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["shareProcessNamespace"]  # a guard needs it
    assert not pod["enableServiceLinks"]  # its variables are no settings of ours


@pytest.mark.parametrize("role", ROLES)
def test_a_pod_has_the_ports_and_probes_of_its_node(role):
    node = container(role)
    http, grpc = ports_of(role)
    assert {each["name"]: each["containerPort"] for each in node["ports"]} == {
        "http": http,
        "grpc": grpc,
    }
    paths = {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    for name, path in paths.items():
        assert node[f"{name}Probe"]["httpGet"] == {"path": path, "port": "http"}
    service = the("Service", f"crawler-{role}")["spec"]
    assert {each["name"]: each["port"] for each in service["ports"]} == {"http": http, "grpc": grpc}


@pytest.mark.parametrize("role", ROLES)
def test_a_pod_gives_settings_that_the_program_knows(role, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(the("ConfigMap", "crawler-config")["data"]["config.yaml"])
    given = {each["name"]: each["value"] for each in container(role)["env"]}
    secrets = the("Secret", "crawler-secrets")["stringData"]
    settings = load(file, variables() | given | secrets)
    assert given["CRAWLER_CONFIG"] == f"/etc/crawler/{file.name}"
    assert_writes_below_the_data(settings)
    assert_keeps_its_history(settings)
    assert_has_time_to_stop(settings, template(role)["spec"]["terminationGracePeriodSeconds"])
    assert settings.etcd.password == secrets["CRAWLER_ETCD_PASSWORD"]
    assert secrets.keys() <= {config.variable(*path) for path in SECRET}


SECRET = (("etcd", "password"), ("frontier", "password"))


def test_the_processes_of_a_worker_fit_into_its_memory(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(the("ConfigMap", "crawler-config")["data"]["config.yaml"])
    worker = load(file, the("Secret", "crawler-secrets")["stringData"]).worker
    limits = container("worker")["resources"]["limits"]
    processes, memory = int(limits["cpu"]), int(limits["memory"].removesuffix("Gi")) * 2**30
    assert 125_000_000 + processes * worker.process_memory * 1.5 <= memory


@pytest.mark.parametrize("role", ROLES)
def test_volumes_are_mounted_where_a_node_writes(role):
    pod, node = template(role)["spec"], container(role)
    mounts = {each["mountPath"]: each["name"] for each in node["volumeMounts"]}
    claims = the("StatefulSet", "crawler-worker")["spec"]["volumeClaimTemplates"]
    volumes = {each["name"] for each in pod["volumes"]}
    volumes |= {each["metadata"]["name"] for each in claims} if role == "worker" else set()
    assert set(mounts.values()) == volumes
    assert {"/etc/crawler", "/tmp"} <= mounts.keys()
    assert DATA in mounts


@pytest.mark.parametrize("role", ROLES)
def test_all_that_selects_pods_selects_those_of_the_role(role):
    labels = template(role)["metadata"]["labels"]
    workload = the(WORKLOADS[role], f"crawler-{role}")["spec"]
    assert workload["selector"]["matchLabels"] == labels
    assert the("Service", f"crawler-{role}")["spec"]["selector"] == labels
    budget = the("PodDisruptionBudget", f"crawler-{role}")["spec"]
    assert budget["selector"]["matchLabels"] == labels
    assert budget["maxUnavailable"] < workload["replicas"]


def test_the_network_lets_through_the_ports_of_nodes_and_stores():
    nodes = the("NetworkPolicy", "crawler-nodes")["spec"]
    ingress = {port["port"] for rule in nodes["ingress"] for port in rule["ports"]}
    assert ingress == {port for role in ROLES for port in ports_of(role)}
    egress = {port["port"] for rule in nodes["egress"] for port in rule["ports"]}
    assert egress == {ports_of(role)[1] for role in ROLES} | {2379, 6379, 53}
    sites = the("NetworkPolicy", "crawler-sites")["spec"]["podSelector"]["matchLabels"]
    assert sites == template("worker")["metadata"]["labels"]


def test_the_service_monitor_has_the_shape_of_its_definition():
    monitor = the("ServiceMonitor", "crawler")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["spec"].keys() == {"selector", "endpoints"}
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint.keys() == {"port", "path", "interval", "authorization"}
    assert endpoint["authorization"] == {"credentials": {"name": "crawler-metrics", "key": "token"}}
    assert endpoint["path"] == "/metrics"
    for role in ROLES:
        service = the("Service", f"crawler-{role}")
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        assert wanted <= service["metadata"]["labels"].items()
        assert endpoint["port"] in {each["name"] for each in service["spec"]["ports"]}
