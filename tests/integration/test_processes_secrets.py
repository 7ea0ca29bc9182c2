"""A canary: a real cluster whose spider tells its secret wherever it can. Nobody hears it."""

import base64
import hashlib
import json
import re
import urllib.parse
import urllib.request

import grpc
import pytest
from google.protobuf import descriptor, json_format, message_factory

from crawler.api.backend import Call
from crawler.api.rpc.client import Client
from crawler.coordination.etcd.store import EtcdStore
from crawler.engine.http import urls
from crawler.local import cluster as cluster_module
from crawler.local.cluster import LocalCluster
from crawler.model.records import Spec, State
from crawler.model.secrets import SecretWish
from crawler.proto import crawler_pb2 as pb
from crawler.settings.sections import EtcdSettings
from tests import forks
from tests.integration.lab import crawler_here
from tests.site import Site
from tests.site.asked import html
from tests.waiting import eventually

CALL = Call(20.0)
CANARY = 'Kanarie "nr 4711"/é'
HEADER = "abc-4711-xyz"
TEXT = descriptor.FieldDescriptor.CPPTYPE_STRING
SECOND = "the value after that one"

SPIDERS = """
import base64, hashlib, logging, os, sys
import crawler


class Gossip:
    def process_item(self, item, spider):
        if item["about"] == "dropped":
            raise crawler.DropItem(f"{spider.login} dropped")
        if item["about"] == "failed":
            raise ValueError(spider.login)
        return item


class Leaky(crawler.Spider):
    name = "leaky"
    pipelines = [Gossip]
    custom_settings = {"log_stats_s": 0.2}

    def __init__(self, login, deep, **given):
        super().__init__(**given)
        self.login, self.deep = login, deep["er"][0]

    def parse(self, response):
        print("printed", self.login)
        print("quoted", repr(self.login), file=sys.stderr)
        os.write(1, f"raw {self.login}\\n".encode())
        logging.getLogger("leaky").warning("logged %s", self.login)
        self.logger.error(f"logged {self.login}", extra={"fields": {self.login: [self.login]}})
        yield {"about": hashlib.sha256(f"{self.login} {self.deep}".encode()).hexdigest()}
        print("coded", base64.b64encode(f"me:{self.login}".encode()).decode())
        yield {"about": "dropped"}
        yield {"about": "failed"}
        yield crawler.Request(f"http://{response.url.split('/')[2]}/nothing?q={self.login}")
        yield crawler.Request("http://127.0.0.1:1/?q=" + self.login, errback=self.failed)

    def failed(self, failure):
        raise RuntimeError(f"no page for {self.login}")

    def closed(self, reason):
        raise ValueError(f"closed with {self.login}")


class Raising(crawler.Spider):
    name = "raising"

    def parse(self, response):
        raise crawler.CloseSpider(f"seen {self.login}")

    def start(self):
        yield crawler.Request(self.start_urls[0])
        raise ValueError(f"start of {self.login}")


class Refusing(crawler.Spider):
    name = "refusing"

    def __init__(self, login, **given):
        raise ValueError(f"not with {login}")
"""

SETTINGS = """
coordination: {lease_ttl_s: 5}
crawl: {delay_s: 0, robots: false, retries: 0, connect_timeout_s: 2}
worker: {report_s: 0.1, processes: 1}
logs: {level: debug}
spiders: [leaky.py]
"""

REFUSED = {"http_version": "secret:shop-login"}


@pytest.fixture(scope="module")
def site():
    seen = []

    def page(asked):
        seen.append(asked.headers.get("HTTP_X_KEY", ""))
        return html("page")

    with Site(pages={"page": page}) as site:
        site.seen = seen
        yield site


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("canary")
    (folder / "leaky.py").write_text(SPIDERS)
    (folder / "settings.yaml").write_text(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster_module, "LocalProcess", forks.ForkedProcess)
        with LocalCluster(str(folder / "settings.yaml"), masters=2, workers=1) as cluster:
            cluster.place = folder
            yield cluster


@pytest.fixture(scope="module")
def client(cluster):
    client = Client(cluster.masters[-1].grpc)
    yield client
    client.close()


def task(client, site, name, spider, **given):
    parameters = {"start_urls": [site.url("/page/1")], "login": "secret:shop-login", **given}
    client.submit(Spec(name, spider, parameters), CALL)


def ended(client, name):
    """The task, once it has ended."""
    return eventually(
        lambda: next((r for r in [client.get(name, CALL)] if r.state.finished), None), what=name
    )


def command(cluster, *words, given=""):
    """Run a command of the command line. Returns what it printed."""
    master, home = cluster.masters[0].grpc, str(cluster.place)
    done = crawler_here(*words, "--master", master, given=given, XDG_CONFIG_HOME=home)
    return done.returncode, done.stdout + done.stderr


def all_answers(cluster, names):
    """What every GET of every node, and every method that reads over gRPC, answers."""
    for node in cluster.nodes:
        base = f"http://{node.http}"
        document = json.loads(read(f"{base}/openapi.json"))
        for path in [path for path, found in document["paths"].items() if "get" in found]:
            for name in names if "{name}" in path else [""]:
                yield f"{node.title} {path} {name}", read(base + path.replace("{name}", name))
        yield from grpc_answers(node, names)


def read(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def grpc_answers(node, names):
    service = {"master": "CrawlerMaster", "worker": "CrawlerWorker"}[node.role]
    with grpc.insecure_channel(node.grpc) as channel:
        for method in pb.DESCRIPTOR.services_by_name[service].methods:
            if not re.match("Get|List|Explain", method.name):
                continue
            kind = message_factory.GetMessageClass(method.input_type)
            of_answer = message_factory.GetMessageClass(method.output_type)
            call = channel.unary_unary(
                f"/{service}/{method.name}",
                kind.SerializeToString,
                of_answer.FromString,
            )
            texts = {each.name for each in kind.DESCRIPTOR.fields if each.cpp_type == TEXT}
            field = {"name", "task"} & texts
            for request in [kind(**dict.fromkeys(field, name)) for name in names]:
                try:
                    told = json_format.MessageToJson(call(request, timeout=20), ensure_ascii=False)
                except grpc.RpcError as error:
                    told = error.details()
                yield f"{node.title} {method.name}", told


def logs_of(cluster):
    return {path.name: path.read_text() for path in cluster.folder.glob("*.log")}


def has_canary(text):
    """Whether a text has the canary, as it is or as JSON, Python or a URL writes it."""
    forms = {
        CANARY,
        json.dumps(CANARY)[1:-1],
        json.dumps(CANARY, ensure_ascii=False)[1:-1],
        repr(CANARY)[1:-1],
        urllib.parse.quote(CANARY),
        urllib.parse.quote(CANARY, safe=""),
        urllib.parse.quote_plus(CANARY),
        urls.safe(f"http://h/{CANARY}")[9:],
        urls.safe(f"http://h/?q={CANARY}")[12:],
        base64.b64encode(CANARY.encode()).decode(),
        "nr 4711",
        "nr%204711",
        HEADER,
    }
    return any(form in text for form in forms)


def test_nobody_hears_the_canary_though_the_spider_tells_it_everywhere(cluster, client, site):
    status, told = command(cluster, "secret", "set", "shop-login", given=f"{CANARY}\n")
    assert (status, told) == (
        0,
        "secret shop-login is set; a task names it as secret:shop-login\n",
    )
    names = ["leaky", "raising", "refusing", "unknown", "odd"]
    headers = {"settings": {"headers": {"X-Key": "secret:header-1"}}}
    client.set_secret(SecretWish("header-1", HEADER), CALL)
    task(client, site, "leaky", "leaky", deep={"er": ["secret:shop-login"]}, **headers)
    task(client, site, "raising", "raising")
    task(client, site, "refusing", "refusing")
    task(client, site, "unknown", "raising", login="secret:not-there")
    task(client, site, "odd", "leaky", deep={"er": [1]}, settings=REFUSED)
    ends = {name: ended(client, name) for name in names}

    assert ends["leaky"].state is State.DONE, ends["leaky"].reason
    assert HEADER in site.seen, "what a crawl sends has the value"
    assert "start of secret:shop-login" in ends["raising"].reason
    assert "not with secret:shop-login" in ends["refusing"].reason
    assert "no secret 'not-there' is there" in ends["unknown"].reason
    assert "'secret:shop-login' is not allowed" in ends["odd"].reason
    assert ends["leaky"].spec.parameters["login"] == "secret:shop-login"

    for what, answer in all_answers(cluster, names):
        assert not has_canary(answer), (what, answer)
    status, told = command(cluster, "secret", "list")
    assert re.search(r"shop-login +2\d{3}-\d\d-\d\d \d\d:\d\d UTC +loopback +[0-9a-f]{8}", told)
    assert not has_canary(told)
    for said in ("printed", "quoted", "raw", "logged", "no page for", "closed with", "start of"):
        told = f"{said} secret:shop-login"
        eventually(lambda told=told: told in logs_of(cluster)["worker-1.log"].replace("'", ""))
    for text in logs_of(cluster).values():
        assert not has_canary(text), [line for line in text.splitlines() if has_canary(line)]
    audit = json.loads(read(f"http://{cluster.masters[-1].http}/crawler/audit?limit=1000"))
    told = {(each["action"], each["object"]) for each in audit["records"]}
    assert {("secret.set", "shop-login"), ("secret.set", "header-1")} <= told
    assert not has_canary(json.dumps(audit, ensure_ascii=False))
    crawls = {each["task"]: each for each in json.loads(read_crawls(cluster))["crawls"]}
    assert crawls["leaky"]["items_dropped"] == {"secret:shop-login dropped": 1}

    kept = [path for path in cluster.place.rglob("*") if path.is_file() and path.suffix != ".py"]
    assert not [path for path in kept if HEADER.encode() in path.read_bytes()]
    store = EtcdStore.open(EtcdSettings(endpoints=[cluster.etcd.endpoint]), ".", 5.0)
    try:
        dump = {kv.key: kv.value.decode() for kv in store.range("/").items}
    finally:
        store.close()
    assert not [key for key, value in dump.items() if has_canary(value)]
    assert '"secret:shop-login"' in dump["/resources/leaky"]


def read_crawls(cluster):
    return read(f"http://{cluster.workers[0].http}/crawls")


def test_the_next_run_has_the_new_value_and_none_after_the_secret_is_deleted(cluster, client, site):
    def items_after(value):
        client.set_secret(SecretWish("rotated", value), CALL)
        given = {"login": "secret:rotated", "deep": {"er": ["secret:rotated"]}}
        if value == CANARY:
            task(client, site, "rotating", "leaky", **given)
        else:
            client.again("rotating", CALL)
        assert eventually(lambda: ended(client, "rotating").counts.items, what="an item")
        return hashlib.sha256(f"{value} {value}".encode()).hexdigest()

    for value in (CANARY, SECOND):
        about = items_after(value)
        eventually(lambda about=about: about in items_of(cluster, "rotating"), what=value)
    [listed] = [each for each in client.secrets(CALL) if each.name == "rotated"]
    assert listed.set_by == "loopback"
    assert listed.set_ns
    client.delete_secret("rotated", CALL)
    client.again("rotating", CALL)
    assert (
        "no secret 'rotated' is there; set it: crawler secret set"
        in ended(client, "rotating").reason
    )
    assert not has_canary("".join(logs_of(cluster).values()))


def items_of(cluster, name):
    files = (cluster.place / "items" / name).glob("*.jsonl*")
    return "".join(path.read_text() for path in files)


def test_over_http_a_secret_is_set_listed_and_deleted_and_never_returned(cluster):
    base = f"http://{cluster.masters[0].http}/crawler/secret"

    def ask(method, path="", body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(base + path, data, headers, method=method)
        return read(request)

    made = json.loads(ask("PUT", "/web.1", {"value": CANARY}))
    assert made.keys() == {"name", "setTime", "setBy", "keyId"}
    assert json.loads(ask("PUT", "/web.1", {"value": CANARY, **made})).keys() == made.keys()
    assert not has_canary(ask("GET"))
    for body in ({"value": 4711}, {"value": [CANARY]}, {"name": "b", "value": CANARY}, {}):
        told = ask("PUT", "/web.1", body)
        assert json.loads(told)["code"] == 3
        assert not has_canary(told)
    assert "is not allowed; allowed are 1 to 64" in ask("PUT", "/a%20b", {"value": CANARY})
    assert json.loads(ask("DELETE", "/web.1"))["name"] == "web.1"
    assert json.loads(ask("DELETE", "/web.1"))["code"] == 5


def test_the_key_of_a_local_cluster_is_for_its_user_alone(cluster):
    assert (cluster.folder / "secrets.key").stat().st_mode & 0o777 == 0o600
