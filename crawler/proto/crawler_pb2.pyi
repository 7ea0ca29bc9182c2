from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ResourceSpec(_message.Message):
    __slots__ = ("id", "name", "assigned_node", "creation_time", "spider", "parameters", "labels", "priority", "state", "reason", "epoch", "counts", "constraints", "retries", "assigned_time", "failed_on", "kills", "restart", "wait_for_spider", "generation", "workers", "shard", "shard_of", "running", "killed_processes", "isolated", "paused", "stopped", "run", "project", "bundle", "digest")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_NODE_FIELD_NUMBER: _ClassVar[int]
    CREATION_TIME_FIELD_NUMBER: _ClassVar[int]
    SPIDER_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_TIME_FIELD_NUMBER: _ClassVar[int]
    FAILED_ON_FIELD_NUMBER: _ClassVar[int]
    KILLS_FIELD_NUMBER: _ClassVar[int]
    RESTART_FIELD_NUMBER: _ClassVar[int]
    WAIT_FOR_SPIDER_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    SHARD_OF_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    KILLED_PROCESSES_FIELD_NUMBER: _ClassVar[int]
    ISOLATED_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    assigned_node: str
    creation_time: int
    spider: str
    parameters: _struct_pb2.Struct
    labels: _containers.ScalarMap[str, str]
    priority: int
    state: str
    reason: str
    epoch: int
    counts: Counts
    constraints: Constraints
    retries: int
    assigned_time: int
    failed_on: _containers.RepeatedScalarFieldContainer[str]
    kills: int
    restart: bool
    wait_for_spider: bool
    generation: int
    workers: int
    shard: int
    shard_of: str
    running: int
    killed_processes: int
    isolated: bool
    paused: bool
    stopped: bool
    run: int
    project: str
    bundle: str
    digest: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., assigned_node: _Optional[str] = ..., creation_time: _Optional[int] = ..., spider: _Optional[str] = ..., parameters: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., priority: _Optional[int] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., epoch: _Optional[int] = ..., counts: _Optional[_Union[Counts, _Mapping]] = ..., constraints: _Optional[_Union[Constraints, _Mapping]] = ..., retries: _Optional[int] = ..., assigned_time: _Optional[int] = ..., failed_on: _Optional[_Iterable[str]] = ..., kills: _Optional[int] = ..., restart: _Optional[bool] = ..., wait_for_spider: _Optional[bool] = ..., generation: _Optional[int] = ..., workers: _Optional[int] = ..., shard: _Optional[int] = ..., shard_of: _Optional[str] = ..., running: _Optional[int] = ..., killed_processes: _Optional[int] = ..., isolated: _Optional[bool] = ..., paused: _Optional[bool] = ..., stopped: _Optional[bool] = ..., run: _Optional[int] = ..., project: _Optional[str] = ..., bundle: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class Constraints(_message.Message):
    __slots__ = ("node", "requests", "required", "preferred", "near", "apart", "spread", "tolerations")
    class RequestsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NODE_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    PREFERRED_FIELD_NUMBER: _ClassVar[int]
    NEAR_FIELD_NUMBER: _ClassVar[int]
    APART_FIELD_NUMBER: _ClassVar[int]
    SPREAD_FIELD_NUMBER: _ClassVar[int]
    TOLERATIONS_FIELD_NUMBER: _ClassVar[int]
    node: str
    requests: _containers.ScalarMap[str, float]
    required: _containers.RepeatedCompositeFieldContainer[Expression]
    preferred: _containers.RepeatedCompositeFieldContainer[Expression]
    near: _containers.RepeatedCompositeFieldContainer[Neighbour]
    apart: _containers.RepeatedCompositeFieldContainer[Neighbour]
    spread: _containers.RepeatedCompositeFieldContainer[Spread]
    tolerations: _containers.RepeatedCompositeFieldContainer[Toleration]
    def __init__(self, node: _Optional[str] = ..., requests: _Optional[_Mapping[str, float]] = ..., required: _Optional[_Iterable[_Union[Expression, _Mapping]]] = ..., preferred: _Optional[_Iterable[_Union[Expression, _Mapping]]] = ..., near: _Optional[_Iterable[_Union[Neighbour, _Mapping]]] = ..., apart: _Optional[_Iterable[_Union[Neighbour, _Mapping]]] = ..., spread: _Optional[_Iterable[_Union[Spread, _Mapping]]] = ..., tolerations: _Optional[_Iterable[_Union[Toleration, _Mapping]]] = ...) -> None: ...

class Expression(_message.Message):
    __slots__ = ("label", "operator", "values", "weight")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    label: str
    operator: str
    values: _containers.RepeatedScalarFieldContainer[str]
    weight: float
    def __init__(self, label: _Optional[str] = ..., operator: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ..., weight: _Optional[float] = ...) -> None: ...

class Neighbour(_message.Message):
    __slots__ = ("label", "value", "over", "weight")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    OVER_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    label: str
    value: str
    over: str
    weight: float
    def __init__(self, label: _Optional[str] = ..., value: _Optional[str] = ..., over: _Optional[str] = ..., weight: _Optional[float] = ...) -> None: ...

class Spread(_message.Message):
    __slots__ = ("over", "label", "value", "max_skew", "weight")
    OVER_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    MAX_SKEW_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    over: str
    label: str
    value: str
    max_skew: int
    weight: float
    def __init__(self, over: _Optional[str] = ..., label: _Optional[str] = ..., value: _Optional[str] = ..., max_skew: _Optional[int] = ..., weight: _Optional[float] = ...) -> None: ...

class Toleration(_message.Message):
    __slots__ = ("key", "value", "effect")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    effect: str
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ..., effect: _Optional[str] = ...) -> None: ...

class NodeSpec(_message.Message):
    __slots__ = ("id", "Address", "reason", "resource", "new", "state")
    ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    NEW_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    id: str
    Address: str
    reason: str
    resource: ResourceSpec
    new: bool
    state: str
    def __init__(self, id: _Optional[str] = ..., Address: _Optional[str] = ..., reason: _Optional[str] = ..., resource: _Optional[_Union[ResourceSpec, _Mapping]] = ..., new: _Optional[bool] = ..., state: _Optional[str] = ...) -> None: ...

class Counts(_message.Message):
    __slots__ = ("pages", "items", "failures", "seconds")
    PAGES_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    pages: int
    items: int
    failures: int
    seconds: float
    def __init__(self, pages: _Optional[int] = ..., items: _Optional[int] = ..., failures: _Optional[int] = ..., seconds: _Optional[float] = ...) -> None: ...

class ListResourcesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "state", "shards", "labels", "search", "spider", "node", "sort", "descending")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    SPIDER_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    DESCENDING_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    state: str
    shards: bool
    labels: _containers.ScalarMap[str, str]
    search: str
    spider: str
    node: str
    sort: str
    descending: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., state: _Optional[str] = ..., shards: _Optional[bool] = ..., labels: _Optional[_Mapping[str, str]] = ..., search: _Optional[str] = ..., spider: _Optional[str] = ..., node: _Optional[str] = ..., sort: _Optional[str] = ..., descending: _Optional[bool] = ...) -> None: ...

class ListResourcesResponse(_message.Message):
    __slots__ = ("resources", "next_page_token", "total", "counts")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    resources: _containers.RepeatedCompositeFieldContainer[ResourceSpec]
    next_page_token: str
    total: int
    counts: _containers.ScalarMap[str, int]
    def __init__(self, resources: _Optional[_Iterable[_Union[ResourceSpec, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total: _Optional[int] = ..., counts: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Token(_message.Message):
    __slots__ = ("id", "name", "role", "labels", "creation_time", "expiration_time", "text")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CREATION_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRATION_TIME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    role: str
    labels: _containers.ScalarMap[str, str]
    creation_time: int
    expiration_time: int
    text: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., role: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., creation_time: _Optional[int] = ..., expiration_time: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class Secret(_message.Message):
    __slots__ = ("name", "value", "set_time", "set_by", "key_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SET_TIME_FIELD_NUMBER: _ClassVar[int]
    SET_BY_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    set_time: int
    set_by: str
    key_id: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ..., set_time: _Optional[int] = ..., set_by: _Optional[str] = ..., key_id: _Optional[str] = ...) -> None: ...

class ListSecretsResponse(_message.Message):
    __slots__ = ("secrets",)
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    secrets: _containers.RepeatedCompositeFieldContainer[Secret]
    def __init__(self, secrets: _Optional[_Iterable[_Union[Secret, _Mapping]]] = ...) -> None: ...

class Schedule(_message.Message):
    __slots__ = ("name", "when", "time_zone", "overlap", "jitter_s", "catch_up_s", "paused", "task", "creation_time", "last_time", "last_outcome", "queued_time", "next")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_FIELD_NUMBER: _ClassVar[int]
    JITTER_S_FIELD_NUMBER: _ClassVar[int]
    CATCH_UP_S_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    CREATION_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_OUTCOME_FIELD_NUMBER: _ClassVar[int]
    QUEUED_TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    name: str
    when: str
    time_zone: str
    overlap: str
    jitter_s: float
    catch_up_s: float
    paused: bool
    task: ResourceSpec
    creation_time: int
    last_time: int
    last_outcome: str
    queued_time: int
    next: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., when: _Optional[str] = ..., time_zone: _Optional[str] = ..., overlap: _Optional[str] = ..., jitter_s: _Optional[float] = ..., catch_up_s: _Optional[float] = ..., paused: _Optional[bool] = ..., task: _Optional[_Union[ResourceSpec, _Mapping]] = ..., creation_time: _Optional[int] = ..., last_time: _Optional[int] = ..., last_outcome: _Optional[str] = ..., queued_time: _Optional[int] = ..., next: _Optional[_Iterable[str]] = ...) -> None: ...

class ListSchedulesResponse(_message.Message):
    __slots__ = ("schedules",)
    SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    schedules: _containers.RepeatedCompositeFieldContainer[Schedule]
    def __init__(self, schedules: _Optional[_Iterable[_Union[Schedule, _Mapping]]] = ...) -> None: ...

class Project(_message.Message):
    __slots__ = ("name", "current", "versions", "labels", "rolled")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ROLLED_FIELD_NUMBER: _ClassVar[int]
    name: str
    current: str
    versions: _containers.RepeatedCompositeFieldContainer[BundleVersion]
    labels: _containers.ScalarMap[str, str]
    rolled: int
    def __init__(self, name: _Optional[str] = ..., current: _Optional[str] = ..., versions: _Optional[_Iterable[_Union[BundleVersion, _Mapping]]] = ..., labels: _Optional[_Mapping[str, str]] = ..., rolled: _Optional[int] = ...) -> None: ...

class BundleVersion(_message.Message):
    __slots__ = ("digest", "deploy_time", "by", "bytes", "spiders", "requirements")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    DEPLOY_TIME_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    SPIDERS_FIELD_NUMBER: _ClassVar[int]
    REQUIREMENTS_FIELD_NUMBER: _ClassVar[int]
    digest: str
    deploy_time: int
    by: str
    bytes: int
    spiders: _containers.RepeatedScalarFieldContainer[str]
    requirements: int
    def __init__(self, digest: _Optional[str] = ..., deploy_time: _Optional[int] = ..., by: _Optional[str] = ..., bytes: _Optional[int] = ..., spiders: _Optional[_Iterable[str]] = ..., requirements: _Optional[int] = ...) -> None: ...

class ListProjectsResponse(_message.Message):
    __slots__ = ("projects",)
    PROJECTS_FIELD_NUMBER: _ClassVar[int]
    projects: _containers.RepeatedCompositeFieldContainer[Project]
    def __init__(self, projects: _Optional[_Iterable[_Union[Project, _Mapping]]] = ...) -> None: ...

class DeployRequest(_message.Message):
    __slots__ = ("project", "roll", "data")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    ROLL_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    project: str
    roll: bool
    data: bytes
    def __init__(self, project: _Optional[str] = ..., roll: _Optional[bool] = ..., data: _Optional[bytes] = ...) -> None: ...

class ProjectRequest(_message.Message):
    __slots__ = ("name", "digest", "roll")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ROLL_FIELD_NUMBER: _ClassVar[int]
    name: str
    digest: str
    roll: bool
    def __init__(self, name: _Optional[str] = ..., digest: _Optional[str] = ..., roll: _Optional[bool] = ...) -> None: ...

class CompareRequest(_message.Message):
    __slots__ = ("name", "digest", "since")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    digest: str
    since: str
    def __init__(self, name: _Optional[str] = ..., digest: _Optional[str] = ..., since: _Optional[str] = ...) -> None: ...

class BundleFiles(_message.Message):
    __slots__ = ("digest", "files", "total")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    digest: str
    files: _containers.RepeatedCompositeFieldContainer[BundleFile]
    total: int
    def __init__(self, digest: _Optional[str] = ..., files: _Optional[_Iterable[_Union[BundleFile, _Mapping]]] = ..., total: _Optional[int] = ...) -> None: ...

class BundleFile(_message.Message):
    __slots__ = ("name", "bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    bytes: int
    def __init__(self, name: _Optional[str] = ..., bytes: _Optional[int] = ...) -> None: ...

class Comparison(_message.Message):
    __slots__ = ("before", "after", "files", "changed", "packages")
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    before: str
    after: str
    files: _containers.RepeatedCompositeFieldContainer[FileChange]
    changed: int
    packages: _containers.RepeatedCompositeFieldContainer[PackageChange]
    def __init__(self, before: _Optional[str] = ..., after: _Optional[str] = ..., files: _Optional[_Iterable[_Union[FileChange, _Mapping]]] = ..., changed: _Optional[int] = ..., packages: _Optional[_Iterable[_Union[PackageChange, _Mapping]]] = ...) -> None: ...

class FileChange(_message.Message):
    __slots__ = ("name", "before", "after", "diff", "note")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    DIFF_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    name: str
    before: int
    after: int
    diff: str
    note: str
    def __init__(self, name: _Optional[str] = ..., before: _Optional[int] = ..., after: _Optional[int] = ..., diff: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class PackageChange(_message.Message):
    __slots__ = ("name", "before", "after")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    name: str
    before: str
    after: str
    def __init__(self, name: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class RecordRequest(_message.Message):
    __slots__ = ("project", "version", "roll")
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ROLL_FIELD_NUMBER: _ClassVar[int]
    project: str
    version: BundleVersion
    roll: bool
    def __init__(self, project: _Optional[str] = ..., version: _Optional[_Union[BundleVersion, _Mapping]] = ..., roll: _Optional[bool] = ...) -> None: ...

class BundleRequest(_message.Message):
    __slots__ = ("digest",)
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    digest: str
    def __init__(self, digest: _Optional[str] = ...) -> None: ...

class BundleChunk(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class AlertRule(_message.Message):
    __slots__ = ("name", "when", "labels", "channels", "limit", "for_s", "set_by")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    FOR_S_FIELD_NUMBER: _ClassVar[int]
    SET_BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    when: str
    labels: _containers.ScalarMap[str, str]
    channels: _containers.RepeatedScalarFieldContainer[str]
    limit: float
    for_s: float
    set_by: str
    def __init__(self, name: _Optional[str] = ..., when: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., channels: _Optional[_Iterable[str]] = ..., limit: _Optional[float] = ..., for_s: _Optional[float] = ..., set_by: _Optional[str] = ...) -> None: ...

class ListAlertRulesResponse(_message.Message):
    __slots__ = ("rules",)
    RULES_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[AlertRule]
    def __init__(self, rules: _Optional[_Iterable[_Union[AlertRule, _Mapping]]] = ...) -> None: ...

class Alert(_message.Message):
    __slots__ = ("id", "rule", "when", "subject", "text", "labels", "since", "recovered", "recovery", "owed", "mark")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    RECOVERED_FIELD_NUMBER: _ClassVar[int]
    RECOVERY_FIELD_NUMBER: _ClassVar[int]
    OWED_FIELD_NUMBER: _ClassVar[int]
    MARK_FIELD_NUMBER: _ClassVar[int]
    id: str
    rule: str
    when: str
    subject: str
    text: str
    labels: _containers.ScalarMap[str, str]
    since: int
    recovered: int
    recovery: str
    owed: _containers.RepeatedScalarFieldContainer[str]
    mark: str
    def __init__(self, id: _Optional[str] = ..., rule: _Optional[str] = ..., when: _Optional[str] = ..., subject: _Optional[str] = ..., text: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., since: _Optional[int] = ..., recovered: _Optional[int] = ..., recovery: _Optional[str] = ..., owed: _Optional[_Iterable[str]] = ..., mark: _Optional[str] = ...) -> None: ...

class ListAlertsResponse(_message.Message):
    __slots__ = ("alerts",)
    ALERTS_FIELD_NUMBER: _ClassVar[int]
    alerts: _containers.RepeatedCompositeFieldContainer[Alert]
    def __init__(self, alerts: _Optional[_Iterable[_Union[Alert, _Mapping]]] = ...) -> None: ...

class AlertChannel(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListTokensResponse(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[Token]
    def __init__(self, tokens: _Optional[_Iterable[_Union[Token, _Mapping]]] = ...) -> None: ...

class SignIn(_message.Message):
    __slots__ = ("issuer", "client", "scopes")
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    client: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, issuer: _Optional[str] = ..., client: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ...) -> None: ...

class AuditRecord(_message.Message):
    __slots__ = ("time", "who", "role", "transport", "action", "object", "outcome", "id", "detail", "reason", "count")
    TIME_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TRANSPORT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    time: int
    who: str
    role: str
    transport: str
    action: str
    object: str
    outcome: str
    id: str
    detail: str
    reason: str
    count: int
    def __init__(self, time: _Optional[int] = ..., who: _Optional[str] = ..., role: _Optional[str] = ..., transport: _Optional[str] = ..., action: _Optional[str] = ..., object: _Optional[str] = ..., outcome: _Optional[str] = ..., id: _Optional[str] = ..., detail: _Optional[str] = ..., reason: _Optional[str] = ..., count: _Optional[int] = ..., **kwargs) -> None: ...

class ListAuditRequest(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    def __init__(self, limit: _Optional[int] = ...) -> None: ...

class ListAuditResponse(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[AuditRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[AuditRecord, _Mapping]]] = ...) -> None: ...

class HistoryEvent(_message.Message):
    __slots__ = ("time", "kind", "task", "id", "epoch", "generation", "shard", "state", "worker", "reason", "who", "spider", "labels", "counts", "late", "step", "run", "statistics")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TIME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    SPIDER_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    time: int
    kind: str
    task: str
    id: str
    epoch: int
    generation: int
    shard: int
    state: str
    worker: str
    reason: str
    who: str
    spider: str
    labels: _containers.ScalarMap[str, str]
    counts: Counts
    late: bool
    step: int
    run: int
    statistics: _struct_pb2.Struct
    def __init__(self, time: _Optional[int] = ..., kind: _Optional[str] = ..., task: _Optional[str] = ..., id: _Optional[str] = ..., epoch: _Optional[int] = ..., generation: _Optional[int] = ..., shard: _Optional[int] = ..., state: _Optional[str] = ..., worker: _Optional[str] = ..., reason: _Optional[str] = ..., who: _Optional[str] = ..., spider: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., counts: _Optional[_Union[Counts, _Mapping]] = ..., late: _Optional[bool] = ..., step: _Optional[int] = ..., run: _Optional[int] = ..., statistics: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class GetHistoryRequest(_message.Message):
    __slots__ = ("name", "limit")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    limit: int
    def __init__(self, name: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class GetHistoryResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[HistoryEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[HistoryEvent, _Mapping]]] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("task", "id", "epoch", "generation", "shard", "state", "worker", "spider", "placed_time", "begun_time", "ended_time", "reason", "who", "counts", "labels", "run", "statistics")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TASK_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    SPIDER_FIELD_NUMBER: _ClassVar[int]
    PLACED_TIME_FIELD_NUMBER: _ClassVar[int]
    BEGUN_TIME_FIELD_NUMBER: _ClassVar[int]
    ENDED_TIME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    task: str
    id: str
    epoch: int
    generation: int
    shard: int
    state: str
    worker: str
    spider: str
    placed_time: int
    begun_time: int
    ended_time: int
    reason: str
    who: str
    counts: Counts
    labels: _containers.ScalarMap[str, str]
    run: int
    statistics: _struct_pb2.Struct
    def __init__(self, task: _Optional[str] = ..., id: _Optional[str] = ..., epoch: _Optional[int] = ..., generation: _Optional[int] = ..., shard: _Optional[int] = ..., state: _Optional[str] = ..., worker: _Optional[str] = ..., spider: _Optional[str] = ..., placed_time: _Optional[int] = ..., begun_time: _Optional[int] = ..., ended_time: _Optional[int] = ..., reason: _Optional[str] = ..., who: _Optional[str] = ..., counts: _Optional[_Union[Counts, _Mapping]] = ..., labels: _Optional[_Mapping[str, str]] = ..., run: _Optional[int] = ..., statistics: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("limit", "state")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    limit: int
    state: str
    def __init__(self, limit: _Optional[int] = ..., state: _Optional[str] = ...) -> None: ...

class ListRunsResponse(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ...) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListNodesResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeInfo]
    def __init__(self, nodes: _Optional[_Iterable[_Union[NodeInfo, _Mapping]]] = ...) -> None: ...

class NodeInfo(_message.Message):
    __slots__ = ("id", "address", "role", "labels", "spiders", "every_spider", "metadata", "incarnation", "unfinished", "resources", "capacity", "taints", "used", "cordoned", "load")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class CapacityEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class UsedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SPIDERS_FIELD_NUMBER: _ClassVar[int]
    EVERY_SPIDER_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    UNFINISHED_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    TAINTS_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    CORDONED_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    id: str
    address: str
    role: str
    labels: _containers.ScalarMap[str, str]
    spiders: _containers.RepeatedScalarFieldContainer[str]
    every_spider: bool
    metadata: _containers.ScalarMap[str, str]
    incarnation: int
    unfinished: int
    resources: int
    capacity: _containers.ScalarMap[str, float]
    taints: _containers.RepeatedScalarFieldContainer[str]
    used: _containers.ScalarMap[str, float]
    cordoned: bool
    load: WorkerLoad
    def __init__(self, id: _Optional[str] = ..., address: _Optional[str] = ..., role: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., spiders: _Optional[_Iterable[str]] = ..., every_spider: _Optional[bool] = ..., metadata: _Optional[_Mapping[str, str]] = ..., incarnation: _Optional[int] = ..., unfinished: _Optional[int] = ..., resources: _Optional[int] = ..., capacity: _Optional[_Mapping[str, float]] = ..., taints: _Optional[_Iterable[str]] = ..., used: _Optional[_Mapping[str, float]] = ..., cordoned: _Optional[bool] = ..., load: _Optional[_Union[WorkerLoad, _Mapping]] = ...) -> None: ...

class WorkerLoad(_message.Message):
    __slots__ = ("cpu", "lag_s", "disk")
    CPU_FIELD_NUMBER: _ClassVar[int]
    LAG_S_FIELD_NUMBER: _ClassVar[int]
    DISK_FIELD_NUMBER: _ClassVar[int]
    cpu: float
    lag_s: float
    disk: float
    def __init__(self, cpu: _Optional[float] = ..., lag_s: _Optional[float] = ..., disk: _Optional[float] = ...) -> None: ...

class LeaderSpec(_message.Message):
    __slots__ = ("id", "address")
    ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    id: str
    address: str
    def __init__(self, id: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class ReportRunsRequest(_message.Message):
    __slots__ = ("node_id", "reports", "load", "over")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    OVER_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    reports: _containers.RepeatedCompositeFieldContainer[RunReport]
    load: WorkerLoad
    over: _containers.RepeatedCompositeFieldContainer[RunStatistics]
    def __init__(self, node_id: _Optional[str] = ..., reports: _Optional[_Iterable[_Union[RunReport, _Mapping]]] = ..., load: _Optional[_Union[WorkerLoad, _Mapping]] = ..., over: _Optional[_Iterable[_Union[RunStatistics, _Mapping]]] = ...) -> None: ...

class RunStatistics(_message.Message):
    __slots__ = ("id", "shard", "epoch", "statistics")
    ID_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    id: str
    shard: int
    epoch: int
    statistics: str
    def __init__(self, id: _Optional[str] = ..., shard: _Optional[int] = ..., epoch: _Optional[int] = ..., statistics: _Optional[str] = ...) -> None: ...

class RunReport(_message.Message):
    __slots__ = ("name", "id", "epoch", "state", "reason", "awaits_spider", "counts", "shard_counts", "interrupted", "charged")
    class ShardCountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: Counts
        def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[Counts, _Mapping]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AWAITS_SPIDER_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    SHARD_COUNTS_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTED_FIELD_NUMBER: _ClassVar[int]
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    name: str
    id: str
    epoch: int
    state: str
    reason: str
    awaits_spider: bool
    counts: Counts
    shard_counts: _containers.MessageMap[int, Counts]
    interrupted: bool
    charged: bool
    def __init__(self, name: _Optional[str] = ..., id: _Optional[str] = ..., epoch: _Optional[int] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., awaits_spider: _Optional[bool] = ..., counts: _Optional[_Union[Counts, _Mapping]] = ..., shard_counts: _Optional[_Mapping[int, Counts]] = ..., interrupted: _Optional[bool] = ..., charged: _Optional[bool] = ...) -> None: ...

class ReportRunsResponse(_message.Message):
    __slots__ = ("refused",)
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    refused: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, refused: _Optional[_Iterable[str]] = ...) -> None: ...

class NodeRequest(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: str
    def __init__(self, node: _Optional[str] = ...) -> None: ...

class Scheduler(_message.Message):
    __slots__ = ("strategy", "disabled", "weights", "strategies", "plugins", "switched", "fault", "disable", "enable", "weigh")
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    STRATEGIES_FIELD_NUMBER: _ClassVar[int]
    PLUGINS_FIELD_NUMBER: _ClassVar[int]
    SWITCHED_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    DISABLE_FIELD_NUMBER: _ClassVar[int]
    ENABLE_FIELD_NUMBER: _ClassVar[int]
    WEIGH_FIELD_NUMBER: _ClassVar[int]
    strategy: str
    disabled: _struct_pb2.ListValue
    weights: _struct_pb2.Struct
    strategies: _containers.RepeatedScalarFieldContainer[str]
    plugins: _containers.RepeatedCompositeFieldContainer[Plugin]
    switched: bool
    fault: str
    disable: _struct_pb2.ListValue
    enable: _struct_pb2.ListValue
    weigh: _struct_pb2.Struct
    def __init__(self, strategy: _Optional[str] = ..., disabled: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ..., weights: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., strategies: _Optional[_Iterable[str]] = ..., plugins: _Optional[_Iterable[_Union[Plugin, _Mapping]]] = ..., switched: _Optional[bool] = ..., fault: _Optional[str] = ..., disable: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ..., enable: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ..., weigh: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class DryRun(_message.Message):
    __slots__ = ("policy", "waiting", "placed", "placements", "left", "owned", "checked", "moved", "moves", "workers", "faults")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    PLACED_FIELD_NUMBER: _ClassVar[int]
    PLACEMENTS_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    OWNED_FIELD_NUMBER: _ClassVar[int]
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    policy: Policy
    waiting: int
    placed: int
    placements: _containers.RepeatedCompositeFieldContainer[Move]
    left: _containers.RepeatedCompositeFieldContainer[Move]
    owned: int
    checked: int
    moved: int
    moves: _containers.RepeatedCompositeFieldContainer[Move]
    workers: _containers.RepeatedCompositeFieldContainer[Share]
    faults: _containers.RepeatedCompositeFieldContainer[PluginFault]
    def __init__(self, policy: _Optional[_Union[Policy, _Mapping]] = ..., waiting: _Optional[int] = ..., placed: _Optional[int] = ..., placements: _Optional[_Iterable[_Union[Move, _Mapping]]] = ..., left: _Optional[_Iterable[_Union[Move, _Mapping]]] = ..., owned: _Optional[int] = ..., checked: _Optional[int] = ..., moved: _Optional[int] = ..., moves: _Optional[_Iterable[_Union[Move, _Mapping]]] = ..., workers: _Optional[_Iterable[_Union[Share, _Mapping]]] = ..., faults: _Optional[_Iterable[_Union[PluginFault, _Mapping]]] = ...) -> None: ...

class Policy(_message.Message):
    __slots__ = ("strategy", "disabled", "weights")
    class WeightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    strategy: str
    disabled: _containers.RepeatedScalarFieldContainer[str]
    weights: _containers.ScalarMap[str, float]
    def __init__(self, strategy: _Optional[str] = ..., disabled: _Optional[_Iterable[str]] = ..., weights: _Optional[_Mapping[str, float]] = ...) -> None: ...

class Move(_message.Message):
    __slots__ = ("name", "before", "after", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    before: str
    after: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Share(_message.Message):
    __slots__ = ("id", "now", "after_pass", "anew")
    ID_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    AFTER_PASS_FIELD_NUMBER: _ClassVar[int]
    ANEW_FIELD_NUMBER: _ClassVar[int]
    id: str
    now: int
    after_pass: int
    anew: int
    def __init__(self, id: _Optional[str] = ..., now: _Optional[int] = ..., after_pass: _Optional[int] = ..., anew: _Optional[int] = ...) -> None: ...

class Plugin(_message.Message):
    __slots__ = ("name", "source", "order", "on", "weight", "hooks", "calls", "failures", "seconds", "slow")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    ON_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    HOOKS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    SLOW_FIELD_NUMBER: _ClassVar[int]
    name: str
    source: str
    order: int
    on: bool
    weight: float
    hooks: _containers.RepeatedScalarFieldContainer[str]
    calls: int
    failures: int
    seconds: float
    slow: int
    def __init__(self, name: _Optional[str] = ..., source: _Optional[str] = ..., order: _Optional[int] = ..., on: _Optional[bool] = ..., weight: _Optional[float] = ..., hooks: _Optional[_Iterable[str]] = ..., calls: _Optional[int] = ..., failures: _Optional[int] = ..., seconds: _Optional[float] = ..., slow: _Optional[int] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("name", "state", "reason", "assigned_node", "group", "priority", "waits_for", "strategy", "chosen", "workers", "faults", "shards")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_NODE_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    CHOSEN_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    SHARDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    reason: str
    assigned_node: str
    group: str
    priority: int
    waits_for: str
    strategy: str
    chosen: str
    workers: _containers.RepeatedCompositeFieldContainer[WorkerVerdict]
    faults: _containers.RepeatedCompositeFieldContainer[PluginFault]
    shards: _containers.RepeatedCompositeFieldContainer[ShardStanding]
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., assigned_node: _Optional[str] = ..., group: _Optional[str] = ..., priority: _Optional[int] = ..., waits_for: _Optional[str] = ..., strategy: _Optional[str] = ..., chosen: _Optional[str] = ..., workers: _Optional[_Iterable[_Union[WorkerVerdict, _Mapping]]] = ..., faults: _Optional[_Iterable[_Union[PluginFault, _Mapping]]] = ..., shards: _Optional[_Iterable[_Union[ShardStanding, _Mapping]]] = ...) -> None: ...

class ShardStanding(_message.Message):
    __slots__ = ("name", "state", "reason", "assigned_node", "waits_for")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_NODE_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    reason: str
    assigned_node: str
    waits_for: str
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., assigned_node: _Optional[str] = ..., waits_for: _Optional[str] = ...) -> None: ...

class PluginFault(_message.Message):
    __slots__ = ("plugin", "hook", "error", "worker")
    PLUGIN_FIELD_NUMBER: _ClassVar[int]
    HOOK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    plugin: str
    hook: str
    error: str
    worker: str
    def __init__(self, plugin: _Optional[str] = ..., hook: _Optional[str] = ..., error: _Optional[str] = ..., worker: _Optional[str] = ...) -> None: ...

class WorkerVerdict(_message.Message):
    __slots__ = ("id", "unfinished", "refusals", "rating", "scores", "total")
    class RefusalsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    UNFINISHED_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    RATING_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    id: str
    unfinished: int
    refusals: _containers.ScalarMap[str, str]
    rating: float
    scores: _containers.RepeatedCompositeFieldContainer[Score]
    total: float
    def __init__(self, id: _Optional[str] = ..., unfinished: _Optional[int] = ..., refusals: _Optional[_Mapping[str, str]] = ..., rating: _Optional[float] = ..., scores: _Optional[_Iterable[_Union[Score, _Mapping]]] = ..., total: _Optional[float] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("plugin", "weight", "points", "place")
    PLUGIN_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    plugin: str
    weight: float
    points: float
    place: str
    def __init__(self, plugin: _Optional[str] = ..., weight: _Optional[float] = ..., points: _Optional[float] = ..., place: _Optional[str] = ...) -> None: ...

class LogRequest(_message.Message):
    __slots__ = ("name", "run", "positions", "follow")
    class PositionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: LogPosition
        def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[LogPosition, _Mapping]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    name: str
    run: int
    positions: _containers.MessageMap[int, LogPosition]
    follow: bool
    def __init__(self, name: _Optional[str] = ..., run: _Optional[int] = ..., positions: _Optional[_Mapping[int, LogPosition]] = ..., follow: _Optional[bool] = ...) -> None: ...

class LogPosition(_message.Message):
    __slots__ = ("epoch", "offset")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    offset: int
    def __init__(self, epoch: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class LogPart(_message.Message):
    __slots__ = ("epoch", "shard", "run", "node", "offset", "data", "note")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    shard: int
    run: int
    node: str
    offset: int
    data: bytes
    note: str
    def __init__(self, epoch: _Optional[int] = ..., shard: _Optional[int] = ..., run: _Optional[int] = ..., node: _Optional[str] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ..., note: _Optional[str] = ...) -> None: ...

class LogPieces(_message.Message):
    __slots__ = ("pieces",)
    PIECES_FIELD_NUMBER: _ClassVar[int]
    pieces: _containers.RepeatedCompositeFieldContainer[LogPiece]
    def __init__(self, pieces: _Optional[_Iterable[_Union[LogPiece, _Mapping]]] = ...) -> None: ...

class LogPiece(_message.Message):
    __slots__ = ("id", "epoch", "shard", "run", "begin", "end", "open")
    ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    id: str
    epoch: int
    shard: int
    run: int
    begin: int
    end: int
    open: bool
    def __init__(self, id: _Optional[str] = ..., epoch: _Optional[int] = ..., shard: _Optional[int] = ..., run: _Optional[int] = ..., begin: _Optional[int] = ..., end: _Optional[int] = ..., open: _Optional[bool] = ...) -> None: ...

class LogPassageRequest(_message.Message):
    __slots__ = ("name", "id", "epoch", "shard", "offset")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    name: str
    id: str
    epoch: int
    shard: int
    offset: int
    def __init__(self, name: _Optional[str] = ..., id: _Optional[str] = ..., epoch: _Optional[int] = ..., shard: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class LogPassage(_message.Message):
    __slots__ = ("data", "offset", "open")
    DATA_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    offset: int
    open: bool
    def __init__(self, data: _Optional[bytes] = ..., offset: _Optional[int] = ..., open: _Optional[bool] = ...) -> None: ...

class TaskStatistics(_message.Message):
    __slots__ = ("name", "statistics", "parts")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    statistics: _struct_pb2.Struct
    parts: _containers.RepeatedCompositeFieldContainer[CrawlPart]
    def __init__(self, name: _Optional[str] = ..., statistics: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., parts: _Optional[_Iterable[_Union[CrawlPart, _Mapping]]] = ...) -> None: ...

class CrawlPart(_message.Message):
    __slots__ = ("name", "node", "statistics", "age_s", "of_head", "silent", "note")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    AGE_S_FIELD_NUMBER: _ClassVar[int]
    OF_HEAD_FIELD_NUMBER: _ClassVar[int]
    SILENT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    name: str
    node: str
    statistics: _struct_pb2.Struct
    age_s: float
    of_head: bool
    silent: bool
    note: str
    def __init__(self, name: _Optional[str] = ..., node: _Optional[str] = ..., statistics: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., age_s: _Optional[float] = ..., of_head: _Optional[bool] = ..., silent: _Optional[bool] = ..., note: _Optional[str] = ...) -> None: ...

class SpiderList(_message.Message):
    __slots__ = ("spiders", "notes")
    SPIDERS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    spiders: _containers.RepeatedCompositeFieldContainer[OfferedSpider]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, spiders: _Optional[_Iterable[_Union[OfferedSpider, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class OfferedSpider(_message.Message):
    __slots__ = ("name", "project", "about", "nodes", "differs")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    DIFFERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    project: str
    about: SpiderAbout
    nodes: _containers.RepeatedScalarFieldContainer[str]
    differs: bool
    def __init__(self, name: _Optional[str] = ..., project: _Optional[str] = ..., about: _Optional[_Union[SpiderAbout, _Mapping]] = ..., nodes: _Optional[_Iterable[str]] = ..., differs: _Optional[bool] = ...) -> None: ...

class SpiderAbout(_message.Message):
    __slots__ = ("about", "arguments", "takes_others")
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    TAKES_OTHERS_FIELD_NUMBER: _ClassVar[int]
    about: str
    arguments: _containers.RepeatedCompositeFieldContainer[SpiderArgument]
    takes_others: bool
    def __init__(self, about: _Optional[str] = ..., arguments: _Optional[_Iterable[_Union[SpiderArgument, _Mapping]]] = ..., takes_others: _Optional[bool] = ...) -> None: ...

class SpiderArgument(_message.Message):
    __slots__ = ("name", "type", "default", "required")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    default: _struct_pb2.Value
    required: bool
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., default: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., required: _Optional[bool] = ...) -> None: ...

class ItemFolders(_message.Message):
    __slots__ = ("folders", "notes")
    FOLDERS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    folders: _containers.RepeatedCompositeFieldContainer[ItemFolder]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, folders: _Optional[_Iterable[_Union[ItemFolder, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class ItemFolder(_message.Message):
    __slots__ = ("node", "place", "files", "moved")
    NODE_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    node: str
    place: str
    files: _containers.RepeatedCompositeFieldContainer[ItemFile]
    moved: str
    def __init__(self, node: _Optional[str] = ..., place: _Optional[str] = ..., files: _Optional[_Iterable[_Union[ItemFile, _Mapping]]] = ..., moved: _Optional[str] = ...) -> None: ...

class ItemFile(_message.Message):
    __slots__ = ("path", "size")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    path: str
    size: int
    def __init__(self, path: _Optional[str] = ..., size: _Optional[int] = ...) -> None: ...

class ItemFileRequest(_message.Message):
    __slots__ = ("name", "node", "path", "offset", "moved")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    MOVED_FIELD_NUMBER: _ClassVar[int]
    name: str
    node: str
    path: str
    offset: int
    moved: str
    def __init__(self, name: _Optional[str] = ..., node: _Optional[str] = ..., path: _Optional[str] = ..., offset: _Optional[int] = ..., moved: _Optional[str] = ...) -> None: ...

class ItemFilePart(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...
