"""A script that makes a machine ready to run jobs and to build."""

from typing import Final

from orchestrator.init.project import CACHE_DIRECTORY, File, Generated, Project
from orchestrator.init.rendering import render

PATH: Final = "fleetpacks-runner.sh"


def script(project: Project, *, directory: str = CACHE_DIRECTORY) -> Generated:
    """The script.

    Args:
        project: what is known.
        directory: what outlives a job.

    Raises:
        UsageError: something cannot be written into it.
    """
    here = [each.url for each in project.builders if each.is_here]
    text = render(
        "runner",
        "runner.sh.j2",
        project=project,
        path=PATH,
        builder=here[0] if here else "",
        directory=directory,
        plain=_is_plain(project.hub, project),
        hardened=f"http://{project.dhi}" if _is_plain(project.dhi, project) else project.dhi,
    )
    return Generated(files=(File(path=PATH, text=text, mode=0o755),), warnings=_warnings(project))


def _is_plain(mirror: str | None, project: Project) -> bool:
    return mirror is not None and mirror.partition("/")[0] in project.insecure


def _warnings(project: Project) -> tuple[str, ...]:
    if not project.elsewhere:
        return ()
    names = ", ".join(each.url for each in project.elsewhere)
    return (f"{names}: the script is for the machine that it runs on; run it there, too",)
