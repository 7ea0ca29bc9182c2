"""What a project says of a task that names it."""

from __future__ import annotations

from crawler.coordination.projects import Projects
from crawler.errors import shown
from crawler.model.projects import SHORT
from crawler.model.records import Spec


def objection(projects: Projects, spec: Spec) -> str:
    """Return why a task is refused whose project has no code for it, or an empty text."""
    why = lack(projects, spec)
    if why and projects.get(spec.project) is None:
        return f'{why}; to store the task until it is, add "wait_for_spider": true'
    return why


def lack(projects: Projects, spec: Spec) -> str:
    """Return why no run of a task could begin with its project, or an empty text."""
    project = projects.get(spec.project)
    if project is None:
        return (
            f"project: {shown(spec.project)} is not deployed; `crawler projects` shows those that "
            "are"
        )
    version = project.version(spec.bundle or project.current)
    if version is None:
        return (
            f"bundle: {shown(spec.bundle)} is no version of project {project.name}; "
            f"`crawler projects {project.name}` shows those that are kept"
        )
    if spec.spider_name not in version.spiders:
        return (
            f"spider: {shown(spec.spider_name)} is not in bundle {version.digest[:SHORT]} of "
            f"project {project.name}; its spiders: {', '.join(version.spiders)}"
        )
    return ""
