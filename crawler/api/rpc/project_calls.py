"""The calls of a master about projects, as a client makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2

from crawler.api.backend import Call
from crawler.api.bundles import CHUNK
from crawler.api.rpc import project_codec
from crawler.errors import CrawlerError
from crawler.model.projects import BundleFiles, Comparison, ProjectView, Version
from crawler.proto import crawler_pb2 as pb


def _nobody(sent: int) -> None:
    """Tell nobody."""


class Upload:
    """A bundle on its way to a master. Each try begins at its beginning."""

    def __init__(
        self, project: str, path: Path, roll: bool = False, tell: Callable[[int], None] = _nobody
    ) -> None:
        """`tell` is called with the number of bytes of each part that is sent."""
        self._project = project
        self._path = path
        self._roll = roll
        self._tell = tell

    def messages(self) -> Iterator[pb.DeployRequest]:
        """Yield the messages of one try."""
        with self._path.open("rb") as file:
            data = file.read(CHUNK)
            yield pb.DeployRequest(project=self._project, roll=self._roll, data=data)
            self._tell(len(data))
            while data := file.read(CHUNK):
                yield pb.DeployRequest(data=data)
                self._tell(len(data))


class ProjectCalls:
    """The calls about projects. A client of a master inherits them."""

    def deploy(self, project: str, version: Version, roll: bool, call: Call) -> ProjectView:
        """Record a bundle that another master keeps."""
        message = project_codec.version_message(version)
        request = pb.RecordRequest(project=project, version=message, roll=roll)
        return project_codec.project_from(self._ask("RecordBundle", request, call))

    def upload(self, upload: Upload, call: Call) -> ProjectView:
        """Deploy a bundle. Raises InvalidArgument if it cannot be used."""
        return project_codec.project_from(self._ask("DeployBundle", upload, call))

    def projects(self, call: Call) -> Sequence[ProjectView]:
        """Return all projects, by name."""
        answer = self._read("ListProjects", empty_pb2.Empty(), call)
        return [project_codec.project_from(each) for each in answer.projects]

    def project(self, name: str, call: Call) -> ProjectView:
        """Return one project. Raises NotFound."""
        answer = self._read("GetProject", pb.ProjectRequest(name=name), call)
        return project_codec.project_from(answer)

    def bundle_files(self, name: str, digest: str, call: Call) -> BundleFiles:
        """Return what is in a version of a project. Raises NotFound."""
        request = pb.CompareRequest(name=name, digest=digest)
        return project_codec.files_from(self._read("ListBundleFiles", request, call))

    def compare(self, name: str, digest: str, since: str, call: Call) -> Comparison:
        """Return how a version of a project differs from another one. Raises NotFound."""
        request = pb.CompareRequest(name=name, digest=digest, since=since)
        return project_codec.comparison_from(self._read("CompareBundles", request, call))

    def rollback(self, name: str, digest: str, roll: bool, call: Call) -> ProjectView:
        """Make another version of a project the current one. Raises NotFound."""
        request = pb.ProjectRequest(name=name, digest=digest, roll=roll)
        return project_codec.project_from(self._ask("RollbackProject", request, call))

    def delete_project(self, name: str, call: Call) -> ProjectView:
        """Remove a project, and return it. Raises NotFound, WrongState."""
        answer = self._ask("DeleteProject", pb.ProjectRequest(name=name), call)
        return project_codec.project_from(answer)

    def bundle(self, digest: str, call: Call) -> Iterator[bytes]:
        """Yield the bytes of a bundle. Raises NotFound, Retryable. Nobody has checked the bytes."""
        answers = self._read("FetchBundle", pb.BundleRequest(digest=digest), call)
        try:
            for answer in answers:
                yield answer.data
        except grpc.RpcError as error:
            raise self._translate(error, call) from None
        finally:
            answers.cancel()

    def _ask(self, method: str, request: Any, call: Call) -> Any:
        raise NotImplementedError

    def _read(self, method: str, request: Any, call: Call) -> Any:
        raise NotImplementedError

    def _translate(self, error: Any, call: Call) -> CrawlerError:
        raise NotImplementedError
