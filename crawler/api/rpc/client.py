"""A client of a master over gRPC: the `Backend` of a remote leader.

Followers use it to forward requests, workers to report, and the command line to ask. It raises the
error of the other side again, with the same code and message. Every call ends shortly after its
deadline. A write whose outcome is unknown is never reported as a failure. If a master does not
answer, calls to it fail at once for a moment (`bulkhead.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gevent
import grpc
from google.protobuf import empty_pb2

from crawler.api.backend import UNTOLD, Call, NodeLoad, Page, Submission
from crawler.api.rpc import (
    alert_codec,
    audit_codec,
    codec,
    history_codec,
    item_codec,
    log_codec,
    policy_codec,
    schedule_codec,
    secret_codec,
    spider_codec,
    statistics_codec,
    tls,
    token_codec,
)
from crawler.api.rpc.bulkhead import Bulkhead, Permit
from crawler.api.rpc.metadata import (
    ANSWERED,
    CALLER,
    FORWARDED,
    RETRY_AFTER,
    TRACEPARENT,
    caller_text,
)
from crawler.api.rpc.project_calls import ProjectCalls, Upload
from crawler.api.rpc.statuses import judge, refusal, seconds, trailer
from crawler.clock import SystemClock
from crawler.errors import CrawlerError, OutcomeUnknown, Unavailable
from crawler.model.access import NewToken, SignIn, Token, TokenWish
from crawler.model.alerts import Alert, AlertRule
from crawler.model.audit import AuditRecord
from crawler.model.history import Event, Run, RunQuery
from crawler.model.item_files import ItemFolders
from crawler.model.logs import LogPart, LogQuery
from crawler.model.policy import DryRun, Explanation, PolicyChange, SchedulerView
from crawler.model.records import Leader, Query, Report, Resource, Spec, WorkerLoad
from crawler.model.run_statistics import RunStatistics
from crawler.model.schedules import ScheduleView, ScheduleWish
from crawler.model.secrets import Secret, SecretWish
from crawler.model.spiders import SpiderList
from crawler.model.task_statistics import TaskStatistics
from crawler.proto import crawler_pb2 as pb
from crawler.proto import crawler_pb2_grpc as pb_grpc
from crawler.tracing.tracing import Kind, NoTracing, Tracing

if TYPE_CHECKING:
    from crawler.settings.tls_files import Pem

MARGIN_S = 0.5
"""How many seconds after its deadline a call is abandoned from outside. While the native thread
pool is stuck, gRPC does not observe its own deadlines."""

MAX_REPORTS = 500
"""How many reports one message has. That stays well below the size that a server accepts."""

STREAM_S = 3600.0
"""How long it may take to read a file of items, or a log that does not grow."""

TROUBLE_S = 5.0
"""For how many seconds a failed connection says that the leader cannot be reached. Nobody may ask
meanwhile, so that nothing else would show that it is back."""

_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    # In spite of its name: so long a connection may take. A distant or busy master needs a while.
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", 64 * 2**20),
    # Connect to peers directly, whatever http_proxy in the environment says.
    ("grpc.enable_http_proxy", 0),
    # Channels share no connections, so that closing a channel closes its connection.
    ("grpc.use_local_subchannel_pool", 1),
]


class Client(ProjectCalls):
    """The backend of the master at `address`, over one channel. The first call connects.

    `forwards` marks its requests as forwarded by a master, so that nobody forwards them again.
    """

    def __init__(
        self,
        address: str,
        *,
        forwards: bool = False,
        gate: Bulkhead | None = None,
        token: Callable[[], str] = str,
        pem: Callable[[], Pem | None] = tls.no_tls,
        tracing: Tracing | None = None,
    ) -> None:
        """`gate` is the bulkhead of that master. Without one the client makes its own. `token`
        returns what it shows at the door; nothing if that is empty. `pem` returns what TLS needs,
        as it is now."""
        self.gate = gate or Bulkhead(address, SystemClock())
        self._address = address
        self._forwards = forwards
        self._token = token
        self._tracing = tracing or NoTracing()
        self._pem = pem
        self._channels = tls.Channels(address, pem, _OPTIONS)
        self._stub_at: tuple[grpc.Channel, Any] | None = None
        self._closed = False
        self._trouble = ("", 0.0)

    @property
    def _stub(self) -> Any:
        """What makes calls over the newest channel. The first call makes both, because Python 3.12
        cannot end cleanly with an unused channel."""
        channel = self._channels.newest()
        if self._stub_at is None or self._stub_at[0] is not channel:
            self._stub_at = channel, self._stub_over(channel)
        return self._stub_at[1]

    def _stub_over(self, channel: grpc.Channel) -> Any:
        return pb_grpc.CrawlerMasterStub(channel)  # type: ignore[no-untyped-call]

    @property
    def asked(self) -> str:
        """The address of the master that answered last."""
        return self._address

    def close(self) -> None:
        """Close the channel. Calls in flight end with an error."""
        self._closed = True
        self._channels.close()

    def submit(self, spec: Spec, call: Call, wait_for_spider: bool = False) -> Submission:
        """Store a new resource and place it."""
        message = codec.spec_message(spec, wait_for_spider=wait_for_spider)
        return codec.placement_from(self._ask("AddResource", message, call), spec)

    @property
    def trouble(self) -> str:
        """Why the connection failed a moment ago; empty if it did not."""
        reason, until_s = self._trouble
        return reason if SystemClock.monotonic() < until_s else ""

    def update(
        self,
        spec: Spec,
        call: Call,
        restart: bool | None = None,
        wait_for_spider: bool = False,
    ) -> Resource:
        """Change a resource's specification."""
        message = codec.spec_message(spec, restart=restart, wait_for_spider=wait_for_spider)
        return codec.resource_from(self._ask("UpdateResource", message, call))

    def again(self, name: str, call: Call) -> Resource:
        """Begin a resource anew."""
        return codec.resource_from(self._ask("AgainResource", pb.ResourceSpec(name=name), call))

    def pause(self, name: str, call: Call) -> Resource:
        """Let a task rest."""
        return codec.resource_from(self._ask("PauseResource", pb.ResourceSpec(name=name), call))

    def resume(self, name: str, call: Call) -> Resource:
        """Let a paused task go on."""
        return codec.resource_from(self._ask("ResumeResource", pb.ResourceSpec(name=name), call))

    def stop(self, name: str, call: Call) -> Resource:
        """End a task for good."""
        return codec.resource_from(self._ask("StopResource", pb.ResourceSpec(name=name), call))

    def run(self, name: str, call: Call) -> Resource:
        """Run a finished task once more."""
        return codec.resource_from(self._ask("RunResource", pb.ResourceSpec(name=name), call))

    def delete(self, name: str, call: Call) -> None:
        """Delete a resource."""
        self._ask("DeleteResource", pb.ResourceSpec(name=name), call)

    def get(self, name: str, call: Call) -> Resource:
        """Return one resource."""
        answer = self._read("GetResource", pb.ResourceSpec(name=name), call)
        return codec.resource_from(answer)

    def list(self, query: Query, call: Call) -> Page:
        """Return a page of the resources that match."""
        answer = self._read("ListResources", codec.query_message(query), call)
        return codec.page_from(answer)

    def nodes(self, call: Call) -> Sequence[NodeLoad]:
        """Return the live nodes."""
        answer = self._read("ListNodes", pb.ListNodesRequest(), call)
        return [codec.node_from(node) for node in answer.nodes]

    def sign_in(self, call: Call) -> SignIn:
        """Return where people sign in."""
        answer = self._read("GetSignIn", empty_pb2.Empty(), call)
        return SignIn(answer.issuer, answer.client, list(answer.scopes))

    def leader(self, call: Call) -> Leader:
        """Return the leader that the master observes. Raises Unavailable while there is none."""
        answer = self._read("GetLeader", empty_pb2.Empty(), call)
        return Leader(answer.id, answer.address)

    def scheduler(self, call: Call) -> SchedulerView:
        """Return the policy and the plugins of the scheduler."""
        return policy_codec.scheduler_from(self._read("GetScheduler", empty_pb2.Empty(), call))

    def update_scheduler(self, change: PolicyChange, call: Call) -> SchedulerView:
        """Change the policy from the next pass on."""
        return policy_codec.scheduler_from(
            self._ask("UpdateScheduler", policy_codec.change_message(change), call)
        )

    def dry_run(self, change: PolicyChange, call: Call) -> DryRun:
        """Return what the scheduler would do after a change of the policy."""
        answer = self._read("DryRunScheduler", policy_codec.change_message(change), call)
        return policy_codec.dry_run_from(answer)

    def reset_scheduler(self, call: Call) -> SchedulerView:
        """Return to the policy of the leader's settings."""
        return policy_codec.scheduler_from(self._ask("ResetScheduler", empty_pb2.Empty(), call))

    def explain(self, name: str, call: Call) -> Explanation:
        """Explain why a task is where it is, or why it waits."""
        answer = self._read("ExplainResource", pb.ResourceSpec(name=name), call)
        return policy_codec.explanation_from(answer)

    def drain(self, node: str, call: Call) -> NodeLoad:
        """Cordon a worker, so that its tasks move away and no others arrive."""
        return codec.node_from(self._ask("DrainNode", pb.NodeRequest(node=node), call))

    def uncordon(self, node: str, call: Call) -> NodeLoad:
        """Let a worker take tasks again."""
        return codec.node_from(self._ask("UncordonNode", pb.NodeRequest(node=node), call))

    def create_token(self, wish: TokenWish, call: Call) -> NewToken:
        """Make a token."""
        answer = self._ask("CreateToken", token_codec.wish_message(wish), call)
        return NewToken(token_codec.token_from(answer), answer.text)

    def tokens(self, call: Call) -> Sequence[Token]:
        """Return all tokens, the oldest first."""
        answer = self._read("ListTokens", empty_pb2.Empty(), call)
        return [token_codec.token_from(each) for each in answer.tokens]

    def revoke_token(self, id: str, call: Call) -> Token:
        """End a token, and return it."""
        return token_codec.token_from(self._ask("RevokeToken", pb.Token(id=id), call))

    def set_secret(self, wish: SecretWish, call: Call) -> Secret:
        """Store a secret, or another value of it."""
        answer = self._ask("SetSecret", secret_codec.wish_message(wish), call)
        return secret_codec.secret_from(answer)

    def secrets(self, call: Call) -> Sequence[Secret]:
        """Return all secrets without their values, by name."""
        answer = self._read("ListSecrets", empty_pb2.Empty(), call)
        return [secret_codec.secret_from(each) for each in answer.secrets]

    def delete_secret(self, name: str, call: Call) -> Secret:
        """Remove a secret, and return it."""
        return secret_codec.secret_from(self._ask("DeleteSecret", pb.Secret(name=name), call))

    def add_schedule(self, wish: ScheduleWish, call: Call) -> ScheduleView:
        """Add a schedule. Raises AlreadyExists if another one has that name."""
        answer = self._ask("AddSchedule", schedule_codec.wish_message(wish), call)
        return schedule_codec.schedule_from(answer)

    def update_schedule(self, wish: ScheduleWish, call: Call) -> ScheduleView:
        """Change a schedule. Raises NotFound."""
        answer = self._ask("UpdateSchedule", schedule_codec.wish_message(wish), call)
        return schedule_codec.schedule_from(answer)

    def schedule(self, name: str, call: Call) -> ScheduleView:
        """Return one schedule. Raises NotFound."""
        answer = self._read("GetSchedule", pb.Schedule(name=name), call)
        return schedule_codec.schedule_from(answer)

    def schedules(self, call: Call) -> Sequence[ScheduleView]:
        """Return all schedules, by name."""
        answer = self._read("ListSchedules", empty_pb2.Empty(), call)
        return [schedule_codec.schedule_from(each) for each in answer.schedules]

    def delete_schedule(self, name: str, call: Call) -> ScheduleView:
        """Remove a schedule, and return it. Its task stays. Raises NotFound."""
        answer = self._ask("DeleteSchedule", pb.Schedule(name=name), call)
        return schedule_codec.schedule_from(answer)

    def pause_schedule(self, name: str, call: Call) -> ScheduleView:
        """Let a schedule fire no more. Raises NotFound."""
        answer = self._ask("PauseSchedule", pb.Schedule(name=name), call)
        return schedule_codec.schedule_from(answer)

    def resume_schedule(self, name: str, call: Call) -> ScheduleView:
        """Let a schedule fire again, from now on. Raises NotFound."""
        answer = self._ask("ResumeSchedule", pb.Schedule(name=name), call)
        return schedule_codec.schedule_from(answer)

    def run_schedule(self, name: str, call: Call) -> ScheduleView:
        """Let a schedule fire now. Raises NotFound; WouldRestart if its task still runs and its
        runs may not overlap."""
        answer = self._ask("RunSchedule", pb.Schedule(name=name), call)
        return schedule_codec.schedule_from(answer)

    def audit(self, limit: int, call: Call) -> Sequence[AuditRecord]:
        """Return the last records of the audit that the leader has, the oldest first."""
        answer = self._read("ListAudit", pb.ListAuditRequest(limit=limit), call)
        return [audit_codec.record_from(each) for each in answer.records]

    def history(self, name: str, limit: int, call: Call) -> Sequence[Event]:
        """Return what happened to a task, the oldest first."""
        answer = self._read("GetHistory", pb.GetHistoryRequest(name=name, limit=limit), call)
        return [history_codec.event_from(each) for each in answer.events]

    def runs(self, query: RunQuery, call: Call) -> Sequence[Run]:
        """Return the latest runs, the latest first."""
        state = query.state.value if query.state else ""
        answer = self._read("ListRuns", pb.ListRunsRequest(limit=query.limit, state=state), call)
        return [history_codec.run_from(each) for each in answer.runs]

    def logs(self, query: LogQuery, call: Call) -> Iterator[LogPart]:
        """Yield the parts of the log of a task. With `follow` it has no deadline. Raises whatever
        calls raise, also between two parts."""
        timeout_s = None if query.follow else STREAM_S
        message = log_codec.query_message(query)
        return map(log_codec.part_from, self._stream("ReadLogs", message, call, timeout_s))

    def spiders(self, call: Call) -> SpiderList:
        """Return which spiders there are, and what each takes."""
        return spider_codec.list_from(self._read("ListSpiders", empty_pb2.Empty(), call))

    def task_statistics(self, name: str, call: Call) -> TaskStatistics:
        """Return what the crawls of a task count now. Raises NotFound."""
        answer = self._read("GetTaskStatistics", pb.ResourceSpec(name=name), call)
        return statistics_codec.task_from(answer)

    def item_files(self, name: str, call: Call) -> ItemFolders:
        """Return which files of items the workers have of a task."""
        return item_codec.folders_from(
            self._read("ListItemFiles", pb.ResourceSpec(name=name), call)
        )

    def item_bytes(
        self, name: str, node: str, path: str, begin: int, call: Call, moved: str = ""
    ) -> Iterator[bytes]:
        """Yield the bytes of one of these files, from there on. Raises whatever calls raise, also
        between two parts."""
        wanted = pb.ItemFileRequest(name=name, node=node, path=path, offset=begin, moved=moved)
        for part in self._stream("ReadItemFile", wanted, call, STREAM_S):
            yield part.data

    def alerts(self, call: Call) -> Sequence[Alert]:
        """Return what the rules of alerts found."""
        answer = self._read("ListAlerts", empty_pb2.Empty(), call)
        return [alert_codec.alert_from(each) for each in answer.alerts]

    def alert_rules(self, call: Call) -> Sequence[AlertRule]:
        """Return all rules of alerts, by name."""
        answer = self._read("ListAlertRules", empty_pb2.Empty(), call)
        return [alert_codec.rule_from(each) for each in answer.rules]

    def set_alert_rule(self, rule: AlertRule, call: Call) -> AlertRule:
        """Set a rule of alerts."""
        answer = self._ask("SetAlertRule", alert_codec.rule_message(rule), call)
        return alert_codec.rule_from(answer)

    def delete_alert_rule(self, name: str, call: Call) -> AlertRule:
        """Remove a rule of alerts, and return it."""
        return alert_codec.rule_from(self._ask("DeleteAlertRule", pb.AlertRule(name=name), call))

    def test_alert(self, channel: str, call: Call) -> None:
        """Send a test to a channel."""
        self._ask("TestAlert", pb.AlertChannel(name=channel), call)

    def report(
        self,
        node_id: str,
        reports: Sequence[Report],
        call: Call,
        load: WorkerLoad = UNTOLD,
        over: Sequence[RunStatistics] = (),
    ) -> Sequence[str]:
        """Report a worker's load and runs. Return the names of the runs that are no longer
        current. `over` are statistics of runs that are over, for the history."""
        refused: list[str] = []
        for start in range(0, len(reports) or 1, MAX_REPORTS):
            part = reports[start : start + MAX_REPORTS]
            request = codec.reports_message(node_id, part, load, () if start else over)
            refused += self._ask("ReportRuns", request, call).refused
        return refused

    def _read(self, method: str, request: Any, call: Call) -> Any:
        try:
            return self._ask(method, request, call)
        except OutcomeUnknown as error:
            raise Unavailable(str(error)) from None

    def _ask(self, method: str, request: Any, call: Call) -> Any:
        if call.timeout_s <= 0:
            raise Unavailable(f"the deadline passed before {self._address} was asked")
        if not call.trace:
            return self._pass(method, request, call)
        name, told = f"CrawlerMaster/{method}", {"rpc.system": "grpc", "rpc.method": method}
        with self._tracing.span(name, Kind.CLIENT, call.trace, told) as trace:
            return self._pass(method, request, replace(call, trace=trace or call.trace))

    def _pass(self, method: str, request: Any, call: Call) -> Any:
        with self.gate.passage(call.timeout_s) as passage:
            return self._send(method, request, call, passage)

    def _send(self, method: str, request: Any, call: Call, passage: Permit) -> Any:
        if self._closed:
            raise Unavailable(f"the channel to {self._address} was closed")
        limit = gevent.Timeout(passage.left_s + MARGIN_S)
        try:
            with limit:
                send = getattr(self._stub, method)
                sent = request.messages() if isinstance(request, Upload) else request
                answer = send(sent, timeout=passage.left_s, metadata=self._metadata(call))
        except gevent.Timeout as expired:
            if expired is not limit:
                raise
            passage.silent()
            raise OutcomeUnknown(self._silent(call)) from None
        except grpc.RpcError as error:
            judge(error, passage)
            raise self._translate(error, call) from None
        except ValueError:
            raise Unavailable(f"the channel to {self._address} was closed") from None
        passage.answered()
        self._trouble = ("", 0.0)
        return answer

    def _stream(
        self, method: str, request: Any, call: Call, timeout_s: float | None
    ) -> Iterator[Any]:
        """Yield the answers of a call that has several."""
        if self._closed:
            raise Unavailable(f"the channel to {self._address} was closed")
        found = getattr(self._stub, method)(
            request, timeout=timeout_s, metadata=self._metadata(call)
        )
        try:
            yield from found
        except grpc.RpcError as error:
            raise self._translate(error, call) from None
        finally:
            found.cancel()

    def _metadata(self, call: Call) -> Sequence[tuple[str, str]]:
        """Return what goes with a call: a token, and for whom it is forwarded."""
        found = [("authorization", f"Bearer {token}") for token in [self._token()] if token]
        if call.trace:
            found.append((TRACEPARENT, call.trace))
        if self._forwards:
            found.append((FORWARDED, "1"))
            found += [(CALLER, caller_text(caller)) for caller in [call.caller] if caller]
        return found

    def _translate(self, error: Any, call: Call) -> CrawlerError:
        """Return the error for a status, with the code of the other side."""
        code, message = error.code().name, error.details() or ""
        if code == "DEADLINE_EXCEEDED":
            return OutcomeUnknown(message if ANSWERED in trailer(error) else self._silent(call))
        if code in ("UNAVAILABLE", "CANCELLED"):
            return self._disconnected(trailer(error), message)
        return refusal(error)

    def _disconnected(self, told: dict[str, Any], message: str) -> CrawlerError:
        if ANSWERED in told:
            return Unavailable(message, seconds(told.get(RETRY_AFTER)))
        if message.startswith(("failed to connect", "DNS resolution failed")):
            return self._unreachable(message)
        # The connection broke during the call, and nobody knows how far the call had come.
        return OutcomeUnknown(f"{self._address} went away during the call: {message}")

    def _unreachable(self, message: str) -> Unavailable:
        hint = tls.hint(message, self._address, is_tls=self._pem() is not None)
        told = (
            f"cannot talk to {self._address}: {hint}"
            if hint
            else f"cannot reach {self._address}: {message}"
        )
        if self._forwards:
            told = (
                f"nobody leads: {told}; it was the leader, and another master takes over when its "
                "lease has ended; try again in 1 s"
            )
        self._trouble = told, SystemClock.monotonic() + TROUBLE_S
        return Unavailable(told)

    def _silent(self, call: Call) -> str:
        return f"{self._address} did not answer within {call.timeout_s:.3g} s"
