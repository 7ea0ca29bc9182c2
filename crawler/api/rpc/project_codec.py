"""Converts projects to messages, and back."""

from __future__ import annotations

from typing import Any

from crawler.api import fields
from crawler.model.projects import Project, ProjectView, Version
from crawler.proto import crawler_pb2 as pb


def project_message(view: ProjectView) -> pb.Project:
    """Return a project as a client sees it."""
    found = dict(fields.of_project(view))
    versions = [pb.BundleVersion(**each) for each in found.pop("versions")]
    return pb.Project(**found, versions=versions)


def project_from(message: pb.Project) -> ProjectView:
    """Return a project as a client knows it."""
    versions = tuple(map(version_from, message.versions))
    project = Project(message.name, message.current, versions, dict(message.labels))
    return ProjectView(project, message.rolled)


def version_message(version: Version) -> pb.BundleVersion:
    """Return a version of a project."""
    return pb.BundleVersion(**fields.of_version(version))


def version_from(message: pb.BundleVersion) -> Version:
    """Return a version of a project as another master knows it."""
    return Version(
        message.digest,
        message.deploy_time,
        message.by,
        message.bytes,
        tuple(message.spiders),
        message.requirements,
    )


def rollback_fields(message: pb.ProjectRequest) -> dict[str, Any]:
    """Return the fields of a request for `project_schemas.load_rollback`."""
    return {"name": message.name, "digest": message.digest, "roll": message.roll}
