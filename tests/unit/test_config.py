"""Settings: from file, environment and flags, with every fault told at once."""

import base64
import dataclasses
import os
import re
from pathlib import Path

import pytest
import yaml

from crawler.errors import ConfigError
from crawler.local.demo import DEMO_FILE
from crawler.model.constraints import Constraints, Effect, Neighbour, Spread, Taint
from crawler.model.records import Spec
from crawler.settings import config, live, yaml_text
from crawler.settings.alerts import Channel, RuleOfSettings
from crawler.settings.crawl import Limit
from crawler.settings.sections import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(tmp_path):
    """Load settings from the text of a file."""

    def load(text="", environment=None, flags=None):
        file = tmp_path / "settings.yaml"
        file.write_text(text)
        return config.load(str(file), environment or {}, flags)

    return load


def every_setting():
    for section, kind in config.sections():
        for item in dataclasses.fields(kind):
            factory = item.default_factory
            default = item.default if factory is dataclasses.MISSING else factory()
            yield section, item, default


def test_nothing_given_means_the_defaults(load):
    settings = load()
    for section, item, default in every_setting():
        assert getattr(getattr(settings, section), item.name) == default


def test_flags_win_over_the_environment_and_that_over_the_file(load):
    text = "node: {id: a, http: ':1', grpc: ':1'}"
    environment = {"CRAWLER_NODE_ID": "b", "CRAWLER_NODE_HTTP": ":2"}
    node = load(text, environment, {"node.id": "c"}).node
    assert (node.id, node.http, node.grpc) == ("c", ":2", ":1")


SECRET_KEY = base64.b64encode(bytes(32)).decode()
TAINTS = ["spot=yes:NoSchedule", "old:PreferNoSchedule"]
HOOK = "https://hooks.example/T0/open-sesame"
ISSUER = "https://id.example/realms/a"
SAMPLES = {
    "api.oidc_issuer": (ISSUER, ISSUER),
    "api.oidc_client": ("crawler", "crawler"),
    "api.oidc_claim": ("realm_access.roles", "realm_access.roles"),
    "api.oidc_roles": ("a=admin,b=viewer", {"a": "admin", "b": "viewer"}),
    "api.oidc_scopes": ("openid,groups", ["openid", "groups"]),
    "tracing.endpoint": ("http://collector:4318", "http://collector:4318"),
    "items.url": ("/mnt/items", "/mnt/items"),
    "frontier.url": ("rediss://h:1", "rediss://h:1"),
    "node.id": ("7", "7"),
    "node.http": (":70", ":70"),
    "node.grpc": (":71", ":71"),
    "node.labels": ("zone=a,gpu=1", {"zone": "a", "gpu": "1"}),
    "node.capacity": ("cpu=4,memory=8192.5", {"cpu": 4.0, "memory": 8192.5}),
    "node.taints": ("spot=yes:NoSchedule,old:PreferNoSchedule", TAINTS),
    "etcd.endpoints": ("a:1,b:2", ["a:1", "b:2"]),
    "coordination.resources": ("/tasks", "/tasks"),
    "coordination.election": ("/leaders", "/leaders"),
    "coordination.registry": ("/nodes", "/nodes"),
    "coordination.snowflake": ("/ids", "/ids"),
    "coordination.scheduler": ("/steering", "/steering"),
    "coordination.tombstones": ("/dead", "/dead"),
    "coordination.access": ("/doors", "/doors"),
    "coordination.schedules": ("/diary", "/diary"),
    "coordination.projects": ("/sites", "/sites"),
    "coordination.alerts": ("/bells", "/bells"),
    "api.trusted": ("10.0.0.0/8,::1", ["10.0.0.0/8", "::1"]),
    "scheduler.plugins": ("a.b,c", ["a.b", "c"]),
    "scheduler.disabled": ("gpu,taints", ["gpu", "taints"]),
    "scheduler.weights": ("gpu=2,real_load=0.5", {"gpu": 2.0, "real_load": 0.5}),
    "scheduler.shares": ("news=3,*=1", {"news": 3.0, "*": 1.0}),
    "scheduler.most": ("news=100,*=0", {"news": 100, "*": 0}),
    "scheduler.rebalance_band": ("0.5", 0.5),
    "crawl.delay_random": ("0.5", 0.5),
    "crawl.limits": ("[{events: 10, per_s: 60}]", [Limit(10, 60.0)]),
    "worker.cache_bytes": ("70000000", 70_000_000),
    "crawl.cache": ("always", "always"),
    "worker.process_memory": ("500000000", 500_000_000),
    "worker.processes": ("3", 3),
    "worker.run_as": ("crawl-1", "crawl-1"),
    "worker.plugins": ("a.b,c", ["a.b", "c"]),
    "worker.private_targets": ("127.0.0.0/8,all", ["127.0.0.0/8", "all"]),
    "crawl.deny_urls": (r"\.pdf$,/print/", [r"\.pdf$", "/print/"]),
    "crawl.strip_query": ("utm_*,gclid", ["utm_*", "gclid"]),
    "crawl.max_pending": ("2000", 2000),
    "worker.databases": ("shop=sqlite:///x.db?table=a", {"shop": "sqlite:///x.db?table=a"}),
    "crawl.sinks": ("csv,shop", ["csv", "shop"]),
    "crawl.item_key": ("sku,size", ["sku", "size"]),
    "crawl.pipelines": ("a.b:C,d:E", ["a.b:C", "d:E"]),
    "crawl.max_seen": ("2000", 2000),
    "crawl.content_types": ("text/*,application/pdf", ["text/*", "application/pdf"]),
    "crawl.proxies": ("http://a:1,socks5h://b:2", ["http://a:1", "socks5h://b:2"]),
    "crawl.headers": ("X-A=1,Accept=text/html", {"X-A": "1", "Accept": "text/html"}),
    "crawl.user_agents": ("a/1,b/2", ["a/1", "b/2"]),
    "crawl.http_auth": ("digest", "digest"),
    "crawl.referrer_policy": ("same-origin", "same-origin"),
    "crawl.http_version": ("2", "2"),
    "crawl.retry_statuses": ("500,502", [500, 502]),
    "crawl.connect_timeout_s": ("2.5", 2.5),
    "api.max_request_bytes": ("70000", 70000),
    "tls.client_certificates": ("grpc", "grpc"),
    "worker.response_bytes": ("7000000", 7_000_000),
    "crawl.max_failure_share": ("0.25", 0.25),
    "secrets.key": (SECRET_KEY, [SECRET_KEY]),
    "deploy.folder": ("kept", "kept"),
    "deploy.url": ("s3://kept/bundles", "s3://kept/bundles"),
    "deploy.max_mb": ("5", 5),
    "deploy.keep": ("3", 3),
    "logs.level": ("debug", "debug"),
    "logs.style": ("json", "json"),
    "history.url": ("postgresql://me:pw@db/crawler", "postgresql://me:pw@db/crawler"),
    "history.keep_days": ("7", 7.0),
    "alerts.channels": (f"{{ops: {{url: {HOOK}}}}}", {"ops": Channel(url=HOOK)}),
    "alerts.rules": ("[{name: a, when: late}]", [RuleOfSettings("a", "late")]),
    "logs.audit": ("audit.jsonl", "audit.jsonl"),
    "logs.run_bytes": ("70000", 70_000),
    "logs.total_bytes": ("70000", 70_000),
}
TOGETHER = {
    "api.oidc_issuer": ("oidc_client", "oidc_roles"),
    "frontier.password": ("url",),
    "frontier.ca": ("url",),
    "frontier.cert": ("key", "url"),
    "frontier.key": ("cert", "url"),
    "etcd.cert": ("ca", "key"),
    "etcd.key": ("ca", "cert"),
    "tls.cert": ("ca", "key"),
    "tls.key": ("ca", "cert"),
    "tls.client_certificates": ("ca", "cert", "key"),
    "etcd.user": ("password",),
    "etcd.password": ("user",),
    "worker.process_memory": ("processes",),
    "worker.run_as": ("processes",),
}
"""Settings that mean nothing without others of their section."""
BY_TYPE = {int: ("70", 70), float: ("12.5", 12.5), str: ("x", "x")}


def sample_for(default):
    """Another value of that type, as text and as it is."""
    if isinstance(default, bool):
        return str(not default).lower(), not default
    return BY_TYPE[type(default)]


@pytest.mark.parametrize(
    ("section", "item", "default"),
    [pytest.param(s, i, d, id=f"{s}.{i.name}") for s, i, d in every_setting()],
)
def test_every_setting_has_a_variable(load, section, item, default):
    path = f"{section}.{item.name}"
    text, expected = SAMPLES[path] if path in SAMPLES else sample_for(default)
    others = {
        config.variable(section, name): SAMPLES.get(f"{section}.{name}", ("y",))[0]
        for name in TOGETHER.get(path, ())
    }
    loaded = load("", {config.variable(section, item.name): text, **others})
    assert getattr(getattr(loaded, section), item.name) == expected != default


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{capacity: {cpu: 4x}}", "node.capacity[cpu]: '4x' given; a number from 0 to 1000000000"),
        ("{capacity: {cpu: -1}}", "node.capacity[cpu]: -1 given; a number from 0 to"),
        ("{capacity: {cpu: .nan}}", "node.capacity[cpu]: nan given; a number from 0 to"),
        ("{capacity: {cpu: true}}", "node.capacity[cpu]: True given; a number from 0 to"),
        ("{capacity: {cpu: }}", "node.capacity[cpu]: nothing given; leave the line out"),
        ("{capacity: {a b: 1}}", "node.capacity[a b]: 'a b' given; 1 to 63 letters, digits"),
        ("{capacity: [1]}", "node.capacity: a mapping is allowed"),
        (
            "{taints: [spot]}",
            "node.taints[0]: 'spot' given; key=value:effect, with the effect NoSc",
        ),
        ("{taints: ['a:NoSchedule', 'b:No']}", "node.taints[1]: 'b:No' given; key=value:effect"),
        ("{taints: ['=b:NoSchedule']}", "node.taints[0]: '=b:NoSchedule' given"),
        ("{taints: ['']}", "node.taints[0]: '' given"),
        ("{taints: spot}", "node.taints: a list is allowed"),
    ],
)
def test_what_is_no_capacity_and_no_taint(load, text, complaint):
    with pytest.raises(ConfigError) as caught:
        load(f"node: {text}")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("CAPACITY", "cpu=four", "environment: node.capacity[cpu]: 'four' given; a number from 0"),
        ("CAPACITY", "cpu", "environment: node.capacity[cpu]: nothing given"),
        ("TAINTS", "a=b", "environment: node.taints[0]: 'a=b' given; key=value:effect"),
    ],
)
def test_what_is_none_in_a_variable(load, name, text, complaint):
    with pytest.raises(ConfigError) as caught:
        load("", {f"CRAWLER_NODE_{name}": text})
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{shares: {a: 0}}", "scheduler.shares[a]: 0 given; a number from 0.001 to 1000000 is"),
        ("{most: {a: 1.5}}", "scheduler.most[a]: 1.5 given; a whole number from 0 to 1000000000"),
        ("{most: {a: -1}}", "scheduler.most[a]: -1 given; a whole number from 0 to"),
    ],
)
def test_what_a_group_cannot_have(load, text, complaint):
    with pytest.raises(ConfigError) as caught:
        load(f"scheduler: {text}")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[{events: 0}]", "crawl.limits[0].events: 0 given; a whole number from 1 to"),
        ("[{}, {per: 1}]", "crawl.limits[1].per: unknown setting; did you mean per_s?"),
        ("[5]", "crawl.limits[0]: 5 given; a mapping of events (a whole number from 1"),
        ("{events: 1}", "crawl.limits: a list is allowed"),
    ],
)
def test_what_is_no_rate_limit(load, text, complaint):
    with pytest.raises(ConfigError) as caught:
        load(f"crawl: {{limits: {text}}}")
    assert complaint in str(caught.value)


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf"])
def test_a_number_is_finite(load, value):
    with pytest.raises(ConfigError, match=r"weights\[gpu\]: -?(nan|inf) given; a number from 0"):
        load(f"scheduler: {{weights: {{gpu: {value}}}}}")


def test_every_taint_that_is_allowed_can_be_read(load):
    given = ["spot=yes:NoSchedule", "x.y/z-1=:NoSchedule", "old:PreferNoSchedule"]
    taints = load(f"node: {{taints: {given}}}").node.taints
    assert [Taint.parse(taint) for taint in taints] == [
        Taint("spot", "yes", Effect.NO_SCHEDULE),
        Taint("x.y/z-1", "", Effect.NO_SCHEDULE),
        Taint("old", "", Effect.PREFER_NO_SCHEDULE),
    ]


def test_a_seed_task_says_what_it_asks(load):
    text = """
tasks:
  - name: x
    labels: {site: books}
    retries: 3
    isolated: true
    constraints:
      requests: {cpu: 0.5}
      apart: [{label: site}]
      spread: [{over: zone, label: site, maxSkew: 2}]
"""
    [task] = load(text).tasks
    assert (task.retries, task.isolated) == (3, True)
    assert task.constraints == Constraints(
        requests=(("cpu", 0.5),),
        apart=(Neighbour("site"),),
        spread=(Spread("zone", "site", max_skew=2),),
    )


def test_a_seed_task_that_asks_for_what_is_not_allowed_is_named(load):
    with pytest.raises(ConfigError) as caught:
        load("tasks: [{name: x, constraints: {apart: [{label: site}], near: 5}}, {name: y}]")
    assert "tasks[0]: constraints.near: 5 is not allowed; allowed is a list" in str(caught.value)


def test_lists_of_endpoints_come_with_commas(load):
    settings = load("", {}, {"etcd.endpoints": "a:1, b:2"})
    assert settings.etcd.endpoints == ["a:1", "b:2"]


def test_variables_in_the_file_are_filled_in(load):
    text = "tasks: [{name: x, parameters: {shelves: ['${SITE:-http://h}/a', '${NONE:-}']}}]"
    assert load(text).tasks[0].parameters["shelves"] == ["http://h/a", ""]
    assert load(text, {"SITE": "http://s"}).tasks[0].parameters["shelves"][0] == "http://s/a"


def test_every_fault_is_told_at_once_with_path_value_and_what_is_allowed(load):
    text = """
node: {grpc: abc, labels: 5, nam: x}
etcd: {endpoints: [x, "h:99999"], timeout_s: 0}
coordination: {lease_ttl_s: 1}
crawl: {robots: perhaps, delay_s: }
logs: {level: loud}
shceduler: {}
spiders: books
tasks: [{name: a/b}, {name: x}, {name: x}, 5, {name: y, colour: red},
  {name: z, parameters: {settings: {retries: -1}, sitemap_follow: ['(?=a)'], start_urls: ['']}}]
"""
    with pytest.raises(ConfigError) as caught:
        load(text, {"CRAWLER_API_TIMEOUT_S": "soon"}, {"node.http": "zz"})
    message = str(caught.value)
    for fault in (
        "node.grpc: 'abc' given; :port or host:port is allowed",
        "node.labels: a mapping is allowed",
        "node.nam: unknown setting",
        "etcd.endpoints[0]: 'x' given; host:port is allowed",
        "etcd.endpoints[1]: 'h:99999' given",
        "etcd.timeout_s: 0 given; a number from 0.1 to 60 s is allowed",
        "coordination.lease_ttl_s: 1 given; a whole number from 2 to 300 s is allowed",
        "crawl.robots: 'perhaps' given; true or false is allowed",
        "crawl.delay_s: nothing given",
        "logs.level: 'loud' given; one of debug, info, warning, error is allowed",
        "shceduler: unknown section; did you mean scheduler?",
        "spiders: 'books' given; a list is allowed",
        "tasks[0]: name: 'a/b' is not allowed",
        "tasks[2].name: 'x' given twice",
        "tasks[3]: 5 given; a mapping with a name is allowed",
        "tasks[4]:",
        "tasks[5]: parameters.settings.retries: -1 is not allowed",
        "tasks[5]: parameters.sitemap_follow[0]: '(?=a)' is not allowed",
        "tasks[5]: parameters.start_urls[0]: '' is not allowed",
        "environment: api.timeout_s: 'soon' given",
        "command line: node.http: 'zz' given",
    ):
        assert fault in message, fault


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("crawl: {timeout_s: 5, connect_timeout_s: 6}", "at most crawl.timeout_s (5.0)"),
        (
            "coordination: {election: /resources/leaders}",
            "outside of coordination.resources (/resources) is allowed, or /resources/election",
        ),
        ("coordination: {master_service: go.micro.server.worker}", "they must differ"),
        ("etcd: {endpoints: []}", "etcd.endpoints: none given; a list of host:port is allowed"),
        ("etcd: {ca: a, cert: b}", "etcd.key: nothing given, but etcd.cert is"),
        ("etcd: {ca: a, key: b}", "etcd.cert: nothing given, but etcd.key is"),
        ("etcd: {cert: a, key: b}", "etcd.ca: nothing given, but etcd.cert is"),
        (
            "etcd: {user: a}",
            "etcd.password: nothing given, but etcd.user is; set CRAWLER_ETCD_PASS",
        ),
        ("etcd: {password: a}", "etcd.user: nothing given, but etcd.password is"),
        (
            "frontier: {url: 'redis://h:1', ca: a}",
            "frontier.ca: given, but frontier.url does not begin with rediss",
        ),
        (
            "frontier: {url: 'rediss://h:1', cert: a}",
            "frontier.key: nothing given, but frontier.cert is; set CRAWLER_FRONTIER_KEY too",
        ),
        (
            "frontier: {url: 'http://h:1'}",
            "frontier.url: 'http://h:1' given; redis://[user[:password]@]host:port/db, redis+sent",
        ),
        ("worker: {processes: -2}", "worker.processes: -2 given; a whole number from -1 to 1024"),
        (
            "worker: {processes: -1, process_memory: 200000000}",
            "worker.process_memory: 200000000 given, but worker.processes is -1; 0 or more",
        ),
        (
            "worker: {processes: -1, run_as: shop}",
            "worker.run_as: shop given, but worker.processes is -1",
        ),
        (
            "worker: {processes: 2, process_memory: 99999999}",
            "worker.process_memory: 99999999 given; 0 or at least 100000000 bytes is allowed",
        ),
        (
            "worker: {processes: 2, run_as: 'a b'}",
            "worker.run_as: 'a b' given; the name of a user of this machine is allowed",
        ),
        ("worker: {fork: 1}", "worker.fork: 1 given; true or false is allowed"),
        ("crawl: {callback_limit_s: -1}", "crawl.callback_limit_s: -1 given; a number from 0 to"),
        ("coordination: {election: /resources}", "coordination.election: '/resources' given"),
        ("coordination: {resources: /a/b, election: /a}", "coordination.resources: '/a/b' given"),
        ("coordination: {snowflake: /resources/x}", "coordination.snowflake"),
        ("coordination: {tombstones: /micro/registry/x}", "coordination.tombstones"),
        ("coordination: {access: /resources/x}", "coordination.access"),
        ("coordination: {schedules: /resources}", "coordination.schedules"),
        ("coordination: {schedules: /crawler/access/x}", "coordination.schedules"),
        ("coordination: {alerts: /crawler/schedules/x}", "coordination.alerts"),
        ("coordination: {scheduler: /resources/x}", "coordination.scheduler"),
        ("alerts: {channels: {a: {}}}", "alerts.channels[a].url: nothing given; webhook needs it"),
        (
            "alerts: {channels: {a: {kind: email, smtp: 'h:25', sender: a@b}}}",
            "alerts.channels[a].to: nothing given; email needs it",
        ),
        (
            "alerts: {channels: {a: {url: 'http://h', user: me, security: none}}}",
            "alerts.channels[a].security: none given, but user is too",
        ),
        ("alerts: {channels: {a: {kind: pager}}}", "kind: 'pager' given; one of webhook, slack"),
        ("alerts: {rules: [{when: late}]}", "alerts.rules[0].name: nothing given; a name is"),
        ("alerts: {rules: [{name: a}, {name: a}]}", "alerts.rules[1].name: given twice"),
        ("alerts: {rules: [{name: a, when: odd}]}", "alerts.rules[0].when: 'odd' given; one of"),
        ("alerts: {rules: [{name: a, channels: [b]}]}", "channels: b given; allowed: none, as"),
        ("coordination: {scheduler: /crawler}", "coordination.tombstones"),
        ("[1, 2]", "a mapping of sections is allowed"),
        ("a: [", "is no YAML"),
    ],
)
def test_relations_and_forms_are_checked(load, text, complaint):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert complaint in str(caught.value)


def test_a_misspelt_variable_is_a_fault_and_others_are_not_ours(load):
    with pytest.raises(ConfigError) as caught:
        load("", {"CRAWLER_NODE_IDD": "1", "CRAWLER_CRAWL_DELAY": "2"})
    assert "CRAWLER_NODE_IDD: unknown; did you mean CRAWLER_NODE_ID?" in str(caught.value)
    assert "CRAWLER_CRAWL_DELAY: unknown; did you mean CRAWLER_CRAWL_DELAY_S?" in str(caught.value)
    assert load("", {"CRAWLER_HOME": "/x", "CRAWLER_CONFIG": "y"}) == load()


def test_an_election_elsewhere_is_allowed(load):
    assert load("coordination: {election: /leaders}").coordination.election == "/leaders"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("oidc_issuer: http://id.example", "oidc_issuer: 'http://id.example' given; an https://"),
        ("oidc_issuer: 'https://me:open@a'", "oidc_issuer: 'https://***@a' given"),
        ("oidc_client: a", "oidc_roles: nothing given, but api.oidc_issuer is; at least one value"),
        ("oidc_roles: {a: admin}", "oidc_client: nothing given, but api.oidc_issuer is; the id"),
        ("oidc_roles: {a: node}", "oidc_roles[a]: 'node' given; one of viewer, operator, admin, m"),
        ("oidc_roles: [a]", "oidc_roles: a mapping is allowed"),
        ("oidc_claim: a b", "oidc_claim: 'a b' given; the name of a claim"),
        ("oidc_scopes: [a b]", "oidc_scopes[0]: 'a b' given; a scope without spaces is allowed"),
        ("oidc_scopes: [groups]", "oidc_scopes: ['groups'] given; a list with openid is allowed"),
        ("oidc_isuer: x", "oidc_isuer: unknown setting; did you mean oidc_issuer?"),
    ],
)
def test_what_no_provider_can_have(load, text, complaint):
    with pytest.raises(ConfigError) as caught:
        load(f"api: {{{text}}}", {"CRAWLER_API_OIDC_ISSUER": ISSUER} if "suer" not in text else {})
    assert f"api.{complaint}" in str(caught.value)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such file"):
        config.load("nowhere.yaml", {})


def test_the_file_of_the_project_shows_every_setting_with_its_default():
    given = yaml.safe_load((ROOT / "config.yaml").read_text())
    for section, item, default in every_setting():
        assert given[section].pop(item.name) == default, f"{section}.{item.name}"
    assert not any(given[section] for section, _ in config.sections()), "settings that are not"


def test_the_file_of_the_project_explains_every_setting():
    text = " ".join(
        line.strip().lstrip("# ") for line in (ROOT / "config.yaml").read_text().splitlines()
    )
    for section, item, _ in every_setting():
        assert item.metadata["help"] in text, f"{section}.{item.name}"


def test_the_documentation_lists_every_setting():
    text = (ROOT / "docs" / "settings.md").read_text()
    for section, item, default in every_setting():
        row = next((r for r in text.splitlines() if f"`{section}.{item.name}`" in r), "")
        assert item.metadata["help"] in row, f"{section}.{item.name}"
        assert f"`{config.variable(section, item.name)}`" in row
        assert f"`{default!r}`" in row or f"`{default}`" in row


def test_the_tasks_of_the_demo_load_and_no_leader_adds_them():
    settings = config.load(str(DEMO_FILE), os.environ)
    assert len(settings.tasks) == 5
    assert all(isinstance(task, Spec) and task.spider for task in settings.tasks)
    assert not settings.scheduler.seed


def test_the_file_of_the_project_adds_no_task_to_anybodys_cluster():
    assert config.load(str(ROOT / "config.yaml"), os.environ).tasks == ()


@pytest.mark.parametrize("value", ["[open-sesame]", "{open-sesame: 1}", "open-sesame"])
def test_a_password_is_shown_in_no_error_and_no_repr(load, value):
    with pytest.raises(ConfigError, match=r"etcd\.(password: another value|user: nothing)") as told:
        load(f"etcd: {{password: {value}}}")
    assert "open-sesame" not in str(told.value)
    settings = load("", {"CRAWLER_ETCD_USER": "me", "CRAWLER_ETCD_PASSWORD": "open-sesame"})
    assert settings.etcd.password == "open-sesame"
    assert "open-sesame" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://me:open-sesame@h:no-port", "'redis://***@h:no-port' given"),
        ("redis://:open-sesame@h:1,i:2", "'redis://***@h:1,i:2' given"),
        ("redis//me:open-sesame@h:1", "'redis//***@h:1' given"),
        ("open-sesame@h", "'***@h' given"),
    ],
)
def test_a_password_in_a_url_is_shown_in_no_error(load, url, told):
    with pytest.raises(ConfigError) as error:
        load(f"frontier: {{url: '{url}'}}")
    assert f"frontier.url: {told}" in str(error.value)
    assert "open-sesame" not in str(error.value)


@pytest.mark.parametrize("given", [HOOK, f"{{url: '{HOOK} x'}}", f"{{url: {HOOK}, key: [{HOOK}]}}"])
def test_the_address_of_a_channel_is_shown_in_no_error(load, given):
    with pytest.raises(
        ConfigError, match=r"alerts\.channels\[ops\].*: another value given"
    ) as told:
        load(f"alerts: {{channels: {{ops: {given}}}}}")
    assert "open-sesame" not in str(told.value)


def test_a_password_in_a_url_is_shown_in_no_repr(load):
    settings = load("", {"CRAWLER_FRONTIER_URL": "redis://me:open-sesame@h:1/0"})
    assert "open-sesame" in settings.frontier.url
    assert "open-sesame" not in repr(settings)


def test_settings_cannot_be_changed_after_loading(load):
    settings = load()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.node.id = "x"
    assert isinstance(settings, Settings)


def test_the_documentation_lists_every_setting_that_changes_on_a_running_crawl():
    text = (ROOT / "docs" / "settings.md").read_text()
    listed = text.partition("\n- politeness:")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == live.LIVE


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\n" + "".join(f"k{n}: &k{n} [{'*a, ' * 40}*a]\n" for n in range(3)),
        "&a [*a]",
        "a: " + "[" * 500,
        "a: " + "1" * 6000,
        "a: 2026-13-45",
    ],
)
def test_yaml_that_stands_for_too_much_is_refused_in_words(load, text, monkeypatch):
    monkeypatch.setattr(yaml_text, "MOST_VALUES", 200)
    with pytest.raises(ConfigError, match="is no YAML"):
        load(text)


def test_a_number_of_any_length_is_told_and_not_raised(load):
    with pytest.raises(ConfigError, match="a number of more than 60 digits given"):
        load("crawl: {delay_s: 0x" + "f" * 9000 + ", user_agent: 0x" + "f" * 9000 + "}")


def test_a_seed_task_on_several_workers_needs_a_redis_that_they_share(load):
    text = "tasks: [{name: a, workers: 3}, {name: b~1}]"
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert "tasks[1].name: 'b~1' given; names that end in ~ and a number are" in str(caught.value)
    text = "tasks: [{name: a, workers: 3}]"
    with pytest.raises(
        ConfigError, match=r"tasks\[0\].workers: 3 given, but frontier.url is empty"
    ):
        load(text)
    shared = load(f"{text}\nfrontier: {{url: 'redis://h:6379/0'}}")
    assert shared.tasks[0].workers == 3
