"""What each route takes and answers, by the name of its function.

A route that is missing here makes the document fail, and with it a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crawler.api.http.openapi.answers import Schema, ref
from crawler.debugging.looks import LEAST_S, MOST_S
from crawler.debugging.profile_forms import FORMS
from crawler.model.audit import MOST_RECORDS
from crawler.model.history import MOST_LIMIT, RunState
from crawler.model.projects import SHORT

ERRORS = {
    400: "The request is wrong. The message names the field, its value and what is allowed.",
    401: "The cluster has tokens, and this request has none that is valid here.",
    403: "Whoever makes the request may not do this, or the cluster has no token yet and takes "
    "requests of its own machine only.",
    404: "Nothing has this name.",
    408: "The body did not arrive in time.",
    409: "Another task has this name, or others kept changing the same thing meanwhile.",
    413: "The body is larger than this server takes.",
    429: "There are too many requests. Nothing was done. Try again later.",
    500: "A bug. The message has an id, under which the log of the node tells more.",
    501: "The request has a Transfer-Encoding other than chunked.",
    503: "Nobody can answer now. Nothing was done. Try again later.",
    504: "There was no answer in time. Whether a change was made is unknown: read to find out.",
}
"""The errors and what they mean."""

_ALWAYS = frozenset({400, 500, 501})
"""Each path gives these: the server refuses a request that it cannot read, whatever its path."""
_GUARDED = _ALWAYS | {401, 403, 429, 503}
"""A path asks who makes the request. 429: the rate is limited, or too many tokens were wrong."""
_READS = _GUARDED | {504}
"""The leader is asked."""
_WRITES = _READS | {409}
_BODY = frozenset({408, 413})
_NAMED = frozenset({404})

_JSON = "application/json"
_ANY_NAME: Schema = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
"""A name in a path."""
_TEXT = {"type": "string"}


def _in_query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


@dataclass(frozen=True)
class Operation:
    """One method at one path."""

    id: str
    answer: Schema
    errors: frozenset[int] = _ALWAYS
    body: str = ""
    """The name of the schema of its body; empty if it reads none."""
    name: Schema = field(default_factory=_ANY_NAME.copy)
    """The schema of the name in its path, if there is one."""
    has_query: bool = False
    query: tuple[Schema, ...] = ()
    """Further parameters of its query."""
    takes: str = _JSON
    """The media type of its body."""
    types: tuple[str, ...] = (_JSON,)
    """The media types of its answer."""
    others: Mapping[int, Schema] = field(default_factory=dict)
    """Further answers that are no errors of the common form."""

    @property
    def is_guarded(self) -> bool:
        """Whether it asks who makes the request."""
        return 401 in self.errors

    @property
    def has_deadline(self) -> bool:
        """Whether it reads the header Grpc-Timeout."""
        return 504 in self.errors


_PROCESS = _in_query("process", {"type": "integer", "minimum": 0, "maximum": 999_999_999})
_SECONDS = _in_query("seconds", {"type": "number", "minimum": LEAST_S, "maximum": MOST_S})
_LIMIT = _in_query("limit", {"type": "integer", "minimum": 1, "maximum": MOST_RECORDS})
_MOST = _in_query("limit", {"type": "integer", "minimum": 1, "maximum": MOST_LIMIT})
_RUN_STATE = _in_query("state", {"enum": ["", *(state.value for state in RunState)]})
_RUN = _in_query("run", {"type": "integer", "minimum": 0, "maximum": 2**31 - 1})
_OFFSET = _in_query(
    "offset", {"type": "string", "pattern": r"^[0-9]{1,2}\.[0-9]{1,18}\.[0-9]{1,18}$"}
)
_FOLLOW = _in_query("follow", {"enum": ["true", "false"]})
_ID = _in_query("id", {"type": "string", "maxLength": 200})
_EPOCH = _in_query("epoch", {"type": "integer", "minimum": 0, "maximum": 2**63 - 1})
_SKIP_MISSING = _in_query("skip_missing", {"enum": ["true", "false"]})
_FORM = _in_query("format", {"enum": list(FORMS)})
_A_DIGEST = {"type": "string", "pattern": f"^([0-9a-f]{{{SHORT},64}})?$"}
_DIGEST, _SINCE = _in_query("digest", _A_DIGEST), _in_query("since", _A_DIGEST)
_ROLL = _in_query("roll", {"type": "boolean"})
_LOOKS = _GUARDED | _NAMED
"""A crawl process may not be there, or not answer."""

OPERATIONS: Mapping[str, Operation] = {
    "crawler.add": Operation("addResource", ref("Placement"), _WRITES | _BODY, "TaskAddition"),
    "crawler.delete_by_body": Operation(
        "deleteNamedResource", ref("Nothing"), _WRITES | _BODY | _NAMED, "TaskName"
    ),
    "crawler.list_": Operation(
        "listResources", ref("ListResourcesResponse"), _READS, has_query=True
    ),
    "crawler.get": Operation("getResource", ref("ResourceSpec"), _READS | _NAMED),
    "crawler.update": Operation(
        "updateResource",
        ref("ResourceSpec"),
        _WRITES | _BODY | _NAMED,
        "TaskUpdate",
        ref("TaskNewName"),
    ),
    "crawler.again": Operation("againResource", ref("ResourceSpec"), _WRITES | _NAMED),
    "crawler.pause": Operation("pauseResource", ref("ResourceSpec"), _WRITES | _NAMED),
    "crawler.resume": Operation("resumeResource", ref("ResourceSpec"), _WRITES | _NAMED),
    "crawler.stop": Operation("stopResource", ref("ResourceSpec"), _WRITES | _NAMED),
    "crawler.run": Operation("runResource", ref("ResourceSpec"), _WRITES | _NAMED),
    "crawler.delete": Operation("deleteResource", ref("Nothing"), _WRITES | _NAMED),
    "crawler.explain": Operation("explainResource", ref("Explanation"), _READS | _NAMED),
    "crawler.logs": Operation(
        "readLogs",
        _TEXT,
        _READS | _NAMED,
        query=(_RUN, _OFFSET, _FOLLOW),
        types=("application/x-ndjson",),
    ),
    "crawler.items": Operation(
        "readItems",
        _TEXT,
        _WRITES | _NAMED,
        query=(_ID, _EPOCH, _SKIP_MISSING),
        types=("application/x-ndjson",),
    ),
    "crawler.statistics": Operation("getTaskStatistics", ref("TaskStatistics"), _READS | _NAMED),
    "crawler.spiders": Operation("listSpiders", ref("SpiderList"), _READS),
    "crawler.nodes": Operation("listNodes", ref("ListNodesResponse"), _READS),
    "crawler.drain": Operation("drainNode", ref("NodeInfo"), _WRITES | _NAMED),
    "crawler.uncordon": Operation("uncordonNode", ref("NodeInfo"), _WRITES | _NAMED),
    "crawler.scheduler": Operation("getScheduler", ref("Scheduler"), _READS),
    "crawler.update_scheduler": Operation(
        "updateScheduler",
        ref("Scheduler"),
        _WRITES | _BODY,
        "PolicyChange",
    ),
    "crawler.dry_run": Operation(
        "dryRunScheduler",
        ref("DryRun"),
        _READS | _BODY,
        "PolicyChange",
    ),
    "crawler.reset_scheduler": Operation("resetScheduler", ref("Scheduler"), _WRITES),
    "crawler.create_token": Operation("createToken", ref("Token"), _WRITES | _BODY, "TokenWish"),
    "crawler.tokens": Operation("listTokens", ref("ListTokensResponse"), _READS),
    "crawler.revoke_token": Operation("revokeToken", ref("Token"), _WRITES | _NAMED),
    "crawler.set_secret": Operation(
        "setSecret", ref("Secret"), _WRITES | _BODY, "SecretWish", ref("SecretName")
    ),
    "crawler.secrets": Operation("listSecrets", ref("ListSecretsResponse"), _READS),
    "crawler.delete_secret": Operation(
        "deleteSecret", ref("Secret"), _WRITES | _NAMED, name=ref("SecretName")
    ),
    "crawler.add_schedule": Operation(
        "addSchedule", ref("Schedule"), _WRITES | _BODY, "ScheduleAddition"
    ),
    "crawler.update_schedule": Operation(
        "updateSchedule",
        ref("Schedule"),
        _WRITES | _BODY | _NAMED,
        "ScheduleUpdate",
        ref("TaskNewName"),
    ),
    "crawler.schedule": Operation("getSchedule", ref("Schedule"), _READS | _NAMED),
    "crawler.schedules": Operation("listSchedules", ref("ListSchedulesResponse"), _READS),
    "crawler.delete_schedule": Operation("deleteSchedule", ref("Schedule"), _WRITES | _NAMED),
    "crawler.pause_schedule": Operation("pauseSchedule", ref("Schedule"), _WRITES | _NAMED),
    "crawler.resume_schedule": Operation("resumeSchedule", ref("Schedule"), _WRITES | _NAMED),
    "crawler.run_schedule": Operation("runSchedule", ref("Schedule"), _WRITES | _NAMED),
    "crawler.deploy": Operation(
        "deployBundle",
        ref("Project"),
        _WRITES | _BODY,
        "Bundle",
        ref("ProjectName"),
        query=(_ROLL,),
        takes="application/zip",
    ),
    "crawler.projects": Operation("listProjects", ref("ListProjectsResponse"), _READS),
    "crawler.project": Operation(
        "getProject", ref("Project"), _READS | _NAMED, name=ref("ProjectName")
    ),
    "crawler.bundle_files": Operation(
        "listBundleFiles",
        ref("BundleFiles"),
        _READS | _NAMED,
        name=ref("ProjectName"),
        query=(_DIGEST,),
    ),
    "crawler.compare_bundles": Operation(
        "compareBundles",
        ref("Comparison"),
        _READS | _NAMED,
        name=ref("ProjectName"),
        query=(_DIGEST, _SINCE),
    ),
    "crawler.rollback": Operation(
        "rollbackProject",
        ref("Project"),
        _WRITES | _BODY | _NAMED,
        "Rollback",
        ref("ProjectName"),
    ),
    "crawler.delete_project": Operation(
        "deleteProject", ref("Project"), _WRITES | _NAMED, name=ref("ProjectName")
    ),
    "crawler.audit": Operation("listAudit", ref("ListAuditResponse"), _READS, query=(_LIMIT,)),
    "crawler.history": Operation(
        "getHistory", ref("GetHistoryResponse"), _READS | _NAMED, query=(_MOST,)
    ),
    "crawler.runs": Operation(
        "listRuns", ref("ListRunsResponse"), _READS | _NAMED, query=(_RUN_STATE, _MOST)
    ),
    "crawler.alerts": Operation("listAlerts", ref("ListAlertsResponse"), _READS),
    "crawler.alert_rules": Operation("listAlertRules", ref("ListAlertRulesResponse"), _READS),
    "crawler.set_alert_rule": Operation(
        "setAlertRule", ref("AlertRule"), _WRITES | _BODY, "AlertRuleWish", ref("AlertName")
    ),
    "crawler.delete_alert_rule": Operation(
        "deleteAlertRule", ref("AlertRule"), _WRITES | _NAMED, name=ref("AlertName")
    ),
    "crawler.test_alert": Operation(
        "testAlert", ref("Nothing"), _READS | _NAMED, name=ref("AlertName")
    ),
    "crawler.leader": Operation("getLeader", ref("LeaderSpec"), errors=_GUARDED),
    "node.healthz": Operation("healthz", ref("Alive")),
    "node.readyz": Operation("readyz", ref("Ready"), others={503: ref("NotReady")}),
    "node.metrics": Operation(
        "metrics", _TEXT, _GUARDED, types=("text/plain", "application/openmetrics-text")
    ),
    "node.openapi": Operation("openapi", {"type": "object"}, _GUARDED),
    "debug.profile": Operation(
        "profile",
        {"type": ["string", "object"]},
        _LOOKS,
        query=(_SECONDS, _FORM, _PROCESS),
        types=tuple(kind.partition(";")[0] for _, kind in FORMS.values()),
    ),
    "debug.stacks": Operation("stacks", _TEXT, _LOOKS, query=(_PROCESS,), types=("text/plain",)),
    "debug.memory": Operation("memory", ref("Memory"), _LOOKS, query=(_PROCESS,)),
    "crawls.processes": Operation("listProcesses", ref("Processes"), errors=_GUARDED),
    "crawls.list_": Operation("listStatistics", ref("Crawls"), errors=_GUARDED),
    "crawls.get": Operation("getStatistics", ref("Statistics"), errors=_GUARDED | _NAMED),
}
"""The name of a route's function, with its blueprint → what it takes and answers."""
