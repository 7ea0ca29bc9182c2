"""The service of a master in crawler.proto: checks the calls, and passes them on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import takewhile

import grpc
from google.protobuf import empty_pb2

from crawler.api.backend import Call
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
    token_codec,
)
from crawler.api.rpc.access import present_caller
from crawler.api.rpc.crawls_client import CrawlsClient
from crawler.api.rpc.places import is_forwarded
from crawler.api.rpc.project_servicer import ProjectServicer
from crawler.api.rpc.tracing import present_trace
from crawler.api.service import Service
from crawler.api.spider_list import Spiders
from crawler.api.task_items import TaskFiles
from crawler.api.task_logs import TaskLog
from crawler.api.task_statistics import TaskCounts
from crawler.coordination.token_secret import id_of
from crawler.proto import crawler_pb2 as pb
from crawler.proto import crawler_pb2_grpc as pb_grpc
from crawler.schemas import (
    alert_schemas,
    audit_schemas,
    history_schemas,
    log_schemas,
    policy_schemas,
    schedule_schemas,
    secret_schemas,
    task_schemas,
    token_schemas,
)
from crawler.settings.sections import ApiSettings

_LONGEST_S = 86_400.0
"""gRPC reports a call without a deadline as one that ends in centuries."""


class Servicer(ProjectServicer, pb_grpc.CrawlerMasterServicer):
    """Checks the calls and passes them to the service."""

    def __init__(
        self,
        service: Service,
        settings: ApiSettings,
        reach: Callable[[str], CrawlsClient] = CrawlsClient,
    ) -> None:
        """`reach` returns the client of a worker."""
        self._reach = reach
        self._service = service
        self._settings = settings

    def AddResource(self, request: pb.ResourceSpec, context: grpc.ServicerContext) -> pb.NodeSpec:
        """Store and place a task."""
        call = self._call(context)
        spec = task_schemas.load_spec(codec.spec_fields(request))
        backend = self._service.backend(call)
        return codec.placement_message(backend.submit(spec, call, request.wait_for_spider))

    def UpdateResource(
        self, request: pb.ResourceSpec, context: grpc.ServicerContext
    ) -> pb.ResourceSpec:
        """Change what a task does."""
        call = self._call(context)
        spec = task_schemas.load_spec(codec.spec_fields(request))
        restart = codec.restart_of(request)
        waits = request.wait_for_spider
        updated = self._service.backend(call).update(spec, call, restart, waits)
        return codec.resource_message(updated)

    def AgainResource(
        self, request: pb.ResourceSpec, context: grpc.ServicerContext
    ) -> pb.ResourceSpec:
        """Begin a task anew."""
        call = self._call(context)
        name = task_schemas.load_name({"name": request.name})
        return codec.resource_message(self._service.backend(call).again(name, call))

    def PauseResource(
        self, request: pb.ResourceSpec, context: grpc.ServicerContext
    ) -> pb.ResourceSpec:
        """Let a task rest."""
        call = self._call(context)
        name = task_schemas.load_name({"name": request.name})
        return codec.resource_message(self._service.backend(call).pause(name, call))

    def ResumeResource(
        self, request: pb.ResourceSpec, context: grpc.ServicerContext
    ) -> pb.ResourceSpec:
        """Let a paused task go on."""
        call = self._call(context)
        name = task_schemas.load_name({"name": request.name})
        return codec.resource_message(self._service.backend(call).resume(name, call))

    def StopResource(
        self, request: pb.ResourceSpec, context: grpc.ServicerContext
    ) -> pb.ResourceSpec:
        """End a task for good."""
        call = self._call(context)
        name = task_schemas.load_name({"name": request.name})
        return codec.resource_message(self._service.backend(call).stop(name, call))

    def RunResource(
        self, request: pb.ResourceSpec, context: grpc.ServicerContext
    ) -> pb.ResourceSpec:
        """Run a finished task once more."""
        call = self._call(context)
        name = task_schemas.load_name({"name": request.name})
        return codec.resource_message(self._service.backend(call).run(name, call))

    def DeleteResource(
        self, request: pb.ResourceSpec, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Delete a task and stop its crawl."""
        call = self._call(context)
        name = task_schemas.load_name({"name": request.name})
        self._service.backend(call).delete(name, call)
        return empty_pb2.Empty()

    def GetResource(
        self, request: pb.ResourceSpec, context: grpc.ServicerContext
    ) -> pb.ResourceSpec:
        """Return one task."""
        call = self._call(context)
        name = task_schemas.load_name({"name": request.name})
        return codec.resource_message(self._service.backend(call).get(name, call))

    def ListResources(
        self, request: pb.ListResourcesRequest, context: grpc.ServicerContext
    ) -> pb.ListResourcesResponse:
        """Return a page of the tasks."""
        call = self._call(context)
        query = task_schemas.load_query(codec.query_fields(request))
        return codec.page_message(self._service.backend(call).list(query, call))

    def ListNodes(
        self, request: pb.ListNodesRequest, context: grpc.ServicerContext
    ) -> pb.ListNodesResponse:
        """Return the live nodes."""
        call = self._call(context)
        loads = self._service.backend(call).nodes(call)
        return pb.ListNodesResponse(nodes=[codec.node_message(load) for load in loads])

    def ExplainResource(
        self, request: pb.ResourceSpec, context: grpc.ServicerContext
    ) -> pb.Explanation:
        """Explain why a task is where it is, or why it waits."""
        call = self._call(context)
        name = task_schemas.load_name({"name": request.name})
        return policy_codec.explanation_message(self._service.backend(call).explain(name, call))

    def DrainNode(self, request: pb.NodeRequest, context: grpc.ServicerContext) -> pb.NodeInfo:
        """Cordon a worker, so that its tasks move away and no others arrive."""
        call = self._call(context)
        node = policy_schemas.load_node(request.node)
        return codec.node_message(self._service.backend(call).drain(node, call))

    def UncordonNode(self, request: pb.NodeRequest, context: grpc.ServicerContext) -> pb.NodeInfo:
        """Let a worker take tasks again."""
        call = self._call(context)
        node = policy_schemas.load_node(request.node)
        return codec.node_message(self._service.backend(call).uncordon(node, call))

    def GetScheduler(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> pb.Scheduler:
        """Return the policy and the plugins of the scheduler."""
        call = self._call(context)
        return policy_codec.scheduler_message(self._service.backend(call).scheduler(call))

    def UpdateScheduler(self, request: pb.Scheduler, context: grpc.ServicerContext) -> pb.Scheduler:
        """Change the policy."""
        call = self._call(context)
        change = policy_schemas.load_policy(policy_codec.policy_fields(request))
        return policy_codec.scheduler_message(
            self._service.backend(call).update_scheduler(change, call)
        )

    def DryRunScheduler(self, request: pb.Scheduler, context: grpc.ServicerContext) -> pb.DryRun:
        """Tell what the scheduler would do after a change of the policy."""
        call = self._call(context)
        change = policy_schemas.load_policy(policy_codec.policy_fields(request))
        return policy_codec.dry_run_message(self._service.backend(call).dry_run(change, call))

    def ResetScheduler(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> pb.Scheduler:
        """Return to the policy of the settings."""
        call = self._call(context)
        return policy_codec.scheduler_message(self._service.backend(call).reset_scheduler(call))

    def CreateToken(self, request: pb.Token, context: grpc.ServicerContext) -> pb.Token:
        """Make a token. The answer alone has its text."""
        call = self._call(context)
        wish = token_schemas.load_wish(token_codec.wish_fields(request))
        return token_codec.new_token_message(self._service.backend(call).create_token(wish, call))

    def ListTokens(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> pb.ListTokensResponse:
        """Return all tokens, without their texts."""
        call = self._call(context)
        found = self._service.backend(call).tokens(call)
        return pb.ListTokensResponse(tokens=map(token_codec.token_message, found))

    def RevokeToken(self, request: pb.Token, context: grpc.ServicerContext) -> pb.Token:
        """End a token, given by its id, or by its whole text."""
        call, id = self._call(context), id_of(request.id)
        found = self._service.backend(call).revoke_token(id, call)
        return token_codec.token_message(found)

    def GetSignIn(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> pb.SignIn:
        """Return where people sign in."""
        own = self._settings
        return pb.SignIn(issuer=own.oidc_issuer, client=own.oidc_client, scopes=own.oidc_scopes)

    def SetSecret(self, request: pb.Secret, context: grpc.ServicerContext) -> pb.Secret:
        """Set a secret."""
        call = self._call(context)
        wish = secret_schemas.load_wish(secret_codec.wish_fields(request))
        return secret_codec.secret_message(self._service.backend(call).set_secret(wish, call))

    def ListSecrets(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> pb.ListSecretsResponse:
        """Return all secrets, without their values."""
        call = self._call(context)
        found = self._service.backend(call).secrets(call)
        return pb.ListSecretsResponse(secrets=map(secret_codec.secret_message, found))

    def DeleteSecret(self, request: pb.Secret, context: grpc.ServicerContext) -> pb.Secret:
        """Delete a secret."""
        call = self._call(context)
        name = secret_schemas.load_name(request.name)
        return secret_codec.secret_message(self._service.backend(call).delete_secret(name, call))

    def AddSchedule(self, request: pb.Schedule, context: grpc.ServicerContext) -> pb.Schedule:
        """Add a schedule."""
        call = self._call(context)
        wish = schedule_schemas.load_schedule(schedule_codec.wish_fields(request))
        found = self._service.backend(call).add_schedule(wish, call)
        return schedule_codec.schedule_message(found)

    def UpdateSchedule(self, request: pb.Schedule, context: grpc.ServicerContext) -> pb.Schedule:
        """Change a schedule."""
        call = self._call(context)
        wish = schedule_schemas.load_schedule(schedule_codec.wish_fields(request))
        found = self._service.backend(call).update_schedule(wish, call)
        return schedule_codec.schedule_message(found)

    def GetSchedule(self, request: pb.Schedule, context: grpc.ServicerContext) -> pb.Schedule:
        """Return one schedule."""
        call = self._call(context)
        name = schedule_schemas.load_schedule_name(request.name)
        found = self._service.backend(call).schedule(name, call)
        return schedule_codec.schedule_message(found)

    def ListSchedules(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> pb.ListSchedulesResponse:
        """Return all schedules, by name."""
        call = self._call(context)
        found = self._service.backend(call).schedules(call)
        return pb.ListSchedulesResponse(schedules=map(schedule_codec.schedule_message, found))

    def DeleteSchedule(self, request: pb.Schedule, context: grpc.ServicerContext) -> pb.Schedule:
        """Remove a schedule, and return it. Its task stays."""
        call = self._call(context)
        name = schedule_schemas.load_schedule_name(request.name)
        found = self._service.backend(call).delete_schedule(name, call)
        return schedule_codec.schedule_message(found)

    def PauseSchedule(self, request: pb.Schedule, context: grpc.ServicerContext) -> pb.Schedule:
        """Let a schedule fire no more."""
        call = self._call(context)
        name = schedule_schemas.load_schedule_name(request.name)
        found = self._service.backend(call).pause_schedule(name, call)
        return schedule_codec.schedule_message(found)

    def ResumeSchedule(self, request: pb.Schedule, context: grpc.ServicerContext) -> pb.Schedule:
        """Let a schedule fire again, from now on."""
        call = self._call(context)
        name = schedule_schemas.load_schedule_name(request.name)
        found = self._service.backend(call).resume_schedule(name, call)
        return schedule_codec.schedule_message(found)

    def RunSchedule(self, request: pb.Schedule, context: grpc.ServicerContext) -> pb.Schedule:
        """Let a schedule fire now."""
        call = self._call(context)
        name = schedule_schemas.load_schedule_name(request.name)
        found = self._service.backend(call).run_schedule(name, call)
        return schedule_codec.schedule_message(found)

    def ListAudit(
        self, request: pb.ListAuditRequest, context: grpc.ServicerContext
    ) -> pb.ListAuditResponse:
        """Return the last records of the audit."""
        call = self._call(context)
        limit = audit_schemas.load_limit({"limit": request.limit or None})
        found = self._service.backend(call).audit(limit, call)
        return pb.ListAuditResponse(records=map(audit_codec.record_message, found))

    def GetHistory(
        self, request: pb.GetHistoryRequest, context: grpc.ServicerContext
    ) -> pb.GetHistoryResponse:
        """Return what happened to a task."""
        call = self._call(context)
        name = task_schemas.load_name({"name": request.name})
        limit = history_schemas.load_limit({"limit": request.limit or None})
        found = self._service.backend(call).history(name, limit, call)
        return pb.GetHistoryResponse(events=map(history_codec.event_message, found))

    def ListRuns(
        self, request: pb.ListRunsRequest, context: grpc.ServicerContext
    ) -> pb.ListRunsResponse:
        """Return the latest runs."""
        call = self._call(context)
        given = {"limit": request.limit or None, "state": request.state}
        found = self._service.backend(call).runs(history_schemas.load_runs(given), call)
        return pb.ListRunsResponse(runs=map(history_codec.run_message, found))

    def ReadLogs(
        self, request: pb.LogRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.LogPart]:
        """Return the log of a run, part by part."""
        call = self._call(context)
        query = log_schemas.load_query(log_codec.query_fields(request))
        found = TaskLog(self._service.backend, self._reach, query, call).parts()
        return map(log_codec.part_message, takewhile(lambda _: context.is_active(), found))

    def GetTaskStatistics(
        self, request: pb.ResourceSpec, context: grpc.ServicerContext
    ) -> pb.TaskStatistics:
        """Return what the crawls of a task count now."""
        call = self._call(context)
        name = task_schemas.load_name({"name": request.name})
        found = TaskCounts(self._service.backend, self._reach, name, call).whole()
        return statistics_codec.task_message(found)

    def ListSpiders(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> pb.SpiderList:
        """Return which spiders there are, and what each takes."""
        service, call = self._service, self._call(context)
        found = Spiders(service.backend, self._reach, call, service.offers).all()
        return spider_codec.list_message(found)

    def ListItemFiles(
        self, request: pb.ResourceSpec, context: grpc.ServicerContext
    ) -> pb.ItemFolders:
        """Return which files of items the workers have of a task."""
        return item_codec.folders_message(self._files_of(request.name, context).all())

    def ReadItemFile(
        self, request: pb.ItemFileRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ItemFilePart]:
        """Return the bytes of one of these files, part by part."""
        files = self._files_of(request.name, context)
        found = files.read(request.node, request.path, max(0, request.offset), request.moved)
        return (pb.ItemFilePart(data=data) for data in found)

    def _files_of(self, name: str, context: grpc.ServicerContext) -> TaskFiles:
        call = self._call(context)
        named = task_schemas.load_name({"name": name})
        return TaskFiles(self._service.backend, self._reach, named, call)

    def ListAlerts(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> pb.ListAlertsResponse:
        """Return what the rules of alerts found."""
        call = self._call(context)
        found = self._service.backend(call).alerts(call)
        return pb.ListAlertsResponse(alerts=map(alert_codec.alert_message, found))

    def ListAlertRules(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> pb.ListAlertRulesResponse:
        """Return all rules of alerts."""
        call = self._call(context)
        found = self._service.backend(call).alert_rules(call)
        return pb.ListAlertRulesResponse(rules=map(alert_codec.rule_message, found))

    def SetAlertRule(self, request: pb.AlertRule, context: grpc.ServicerContext) -> pb.AlertRule:
        """Set a rule of alerts."""
        call = self._call(context)
        rule = alert_schemas.load_rule(alert_codec.rule_fields(request))
        return alert_codec.rule_message(self._service.backend(call).set_alert_rule(rule, call))

    def DeleteAlertRule(self, request: pb.AlertRule, context: grpc.ServicerContext) -> pb.AlertRule:
        """Remove a rule of alerts, and return it."""
        call = self._call(context)
        name = alert_schemas.load_alert_name(request.name)
        return alert_codec.rule_message(self._service.backend(call).delete_alert_rule(name, call))

    def TestAlert(self, request: pb.AlertChannel, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Send a test to a channel."""
        call = self._call(context)
        name = alert_schemas.load_alert_name(request.name)
        self._service.backend(call).test_alert(name, call)
        return empty_pb2.Empty()

    def GetLeader(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> pb.LeaderSpec:
        """Return the leader that this master observes."""
        leader = self._service.leader()
        return pb.LeaderSpec(id=leader.id, address=leader.address)

    def ReportRuns(
        self, request: pb.ReportRunsRequest, context: grpc.ServicerContext
    ) -> pb.ReportRunsResponse:
        """Accept a worker's reports about its crawls."""
        call = self._call(context)
        reports = codec.reports_from(request)
        load = codec.load_from(request)
        over = codec.statistics_from(request)
        refused = self._service.backend(call).report(request.node_id, reports, call, load, over)
        return pb.ReportRunsResponse(refused=refused)

    def _call(self, context: grpc.ServicerContext) -> Call:
        left_s = context.time_remaining()
        if left_s is None or left_s > _LONGEST_S:
            left_s = self._settings.timeout_s
        forwarded = is_forwarded(context.invocation_metadata())
        return Call(left_s, forwarded, present_caller(), trace=present_trace())
