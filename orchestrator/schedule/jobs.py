"""From a plan to what placement asks: what an app's build needs, and where earlier builds have left that. Pure."""

import os
from collections.abc import Iterable, Mapping

from orchestrator.model import AppPlan
from orchestrator.schedule.placement import Job, Part


def job(
    plan: AppPlan,
    *,
    platform: str = "",
    bases: Iterable[str] = (),
    memory: int = 0,
    seconds: float = 0.0,
    besides: frozenset[str] = frozenset(),
) -> Job:
    """An app's build, with what a host may have of it.

    Args:
        plan: the app's.
        platform: for which it is built if it names none; "": what its host is.
        bases: the images that it stands on.
        memory: bytes that it is expected to need; 0: not known.
        seconds: how long it is expected to take; 0: not known.
        besides: the hosts that cannot execute its steps.
    """
    workspace = plan.app.directory / plan.build.context
    return Job(
        app=plan.app.name,
        platform=next(iter(plan.build.platforms), platform),
        parts=(
            Part("app", plan.app.path),
            Part("dependencies", os.path.normpath(workspace)),
            *(Part("mounts", mount.id) for mount in plan.build.cache),
            *(Part("base", name) for name in bases),
        ),
        memory=memory,
        seconds=seconds,
        besides=besides,
    )


def lying(jobs: Mapping[str, Job], built_on: Mapping[str, Iterable[str]]) -> Mapping[Part, Iterable[str]]:
    """What lies where.

    Args:
        jobs: by the app's name.
        built_on: the names of the hosts that apps were built on before.
    """
    lies: dict[Part, dict[str, None]] = {}
    for name, hosts in built_on.items():
        for part in jobs[name].parts:
            lies.setdefault(part, {}).update(dict.fromkeys(hosts))
    return lies
