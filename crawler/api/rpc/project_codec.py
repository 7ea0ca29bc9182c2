"""Converts projects to messages, and back."""

from __future__ import annotations

from typing import Any

from crawler.api import fields
from crawler.model.projects import (
    BundleFile,
    BundleFiles,
    Comparison,
    FileChange,
    PackageChange,
    Project,
    ProjectView,
    Version,
)
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


def comparing_fields(message: pb.CompareRequest) -> dict[str, Any]:
    """Return the fields of a request for `project_schemas.load_comparison`."""
    return {"name": message.name, "digest": message.digest, "since": message.since}


def files_message(found: BundleFiles) -> pb.BundleFiles:
    """Return what is in a bundle."""
    return pb.BundleFiles(**fields.of_bundle_files(found))


def files_from(message: pb.BundleFiles) -> BundleFiles:
    """Return what is in a bundle, as a client knows it."""
    files = tuple(BundleFile(each.name, each.bytes) for each in message.files)
    return BundleFiles(message.digest, files, message.total)


def comparison_message(found: Comparison) -> pb.Comparison:
    """Return how two bundles differ."""
    return pb.Comparison(**fields.of_comparison(found))


def comparison_from(message: pb.Comparison) -> Comparison:
    """Return how two bundles differ, as a client knows it."""
    packages = tuple(PackageChange(p.name, p.before, p.after) for p in message.packages)
    files = tuple(map(_change_from, message.files))
    return Comparison(files, message.changed, packages, message.before, message.after)


def _change_from(message: pb.FileChange) -> FileChange:
    return FileChange(
        message.name,
        message.before if message.HasField("before") else None,
        message.after if message.HasField("after") else None,
        message.diff,
        message.note,
    )


def rollback_fields(message: pb.ProjectRequest) -> dict[str, Any]:
    """Return the fields of a request for `project_schemas.load_rollback`."""
    return {"name": message.name, "digest": message.digest, "roll": message.roll}
