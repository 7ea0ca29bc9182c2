"""The calls of a master about projects, as its server answers them."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
from google.protobuf import empty_pb2

from crawler.api.backend import Call
from crawler.api.rpc import project_codec
from crawler.api.service import Service
from crawler.errors import InvalidArgument, shown
from crawler.model.projects import DIGEST_WORDS, is_digest
from crawler.proto import crawler_pb2 as pb
from crawler.schemas import project_schemas


class ProjectServicer:
    """Checks the calls about projects and passes them to the service."""

    _service: Service

    def DeployBundle(
        self, requests: Iterator[pb.DeployRequest], context: grpc.ServicerContext
    ) -> pb.Project:
        """Take a bundle, and make it the current one of its project."""
        call = self._call(context)
        first = next(requests, None)
        if first is None:
            raise InvalidArgument("the call has no message; send the parts of a bundle")
        name = project_schemas.load_name(first.project)
        found = self._service.deploy(name, _parts(first, requests), first.roll, call)
        return project_codec.project_message(found)

    def ListProjects(
        self, request: empty_pb2.Empty, context: grpc.ServicerContext
    ) -> pb.ListProjectsResponse:
        """Return all projects, by name."""
        call = self._call(context)
        found = self._service.backend(call).projects(call)
        return pb.ListProjectsResponse(projects=map(project_codec.project_message, found))

    def GetProject(self, request: pb.ProjectRequest, context: grpc.ServicerContext) -> pb.Project:
        """Return one project."""
        call = self._call(context)
        name = project_schemas.load_name(request.name)
        return project_codec.project_message(self._service.backend(call).project(name, call))

    def ListBundleFiles(
        self, request: pb.CompareRequest, context: grpc.ServicerContext
    ) -> pb.BundleFiles:
        """Return what is in a version of a project."""
        call = self._call(context)
        wish = project_schemas.load_comparison(project_codec.comparing_fields(request))
        found = self._service.bundle_files(wish.name, wish.digest, call)
        return project_codec.files_message(found)

    def CompareBundles(
        self, request: pb.CompareRequest, context: grpc.ServicerContext
    ) -> pb.Comparison:
        """Return how a version of a project differs from another one."""
        call = self._call(context)
        wish = project_schemas.load_comparison(project_codec.comparing_fields(request))
        return project_codec.comparison_message(self._service.compare(*wish, call))

    def RollbackProject(
        self, request: pb.ProjectRequest, context: grpc.ServicerContext
    ) -> pb.Project:
        """Make another version of a project the current one."""
        call = self._call(context)
        wish = project_schemas.load_rollback(project_codec.rollback_fields(request))
        return project_codec.project_message(self._service.backend(call).rollback(*wish, call))

    def DeleteProject(
        self, request: pb.ProjectRequest, context: grpc.ServicerContext
    ) -> pb.Project:
        """Remove a project."""
        call = self._call(context)
        name = project_schemas.load_name(request.name)
        found = self._service.backend(call).delete_project(name, call)
        return project_codec.project_message(found)

    def RecordBundle(self, request: pb.RecordRequest, context: grpc.ServicerContext) -> pb.Project:
        """Record a bundle that another master keeps."""
        call = self._call(context)
        name = project_schemas.load_name(request.project)
        version = project_codec.version_from(request.version)
        if not is_digest(version.digest):
            raise InvalidArgument(
                f"digest: {shown(version.digest)} is not allowed; allowed are {DIGEST_WORDS}"
            )
        found = self._service.backend(call).deploy(name, version, request.roll, call)
        return project_codec.project_message(found)

    def FetchBundle(
        self, request: pb.BundleRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.BundleChunk]:
        """Return the bytes of a bundle, part by part."""
        given = self._service.bundle(request.digest, self._call(context))
        return (pb.BundleChunk(data=data) for data in given)

    def _call(self, context: grpc.ServicerContext) -> Call:
        raise NotImplementedError


def _parts(first: pb.DeployRequest, others: Iterator[pb.DeployRequest]) -> Iterator[bytes]:
    yield first.data
    for request in others:
        yield request.data
