"""Which builders can execute the steps of which apps; where none can, nothing is built.

A builder says whose programs it runs. An image for another platform can be made there all the same, unless a step of
its Dockerfile executes something of that platform (`orchestrator.plan.executing`): this would fail after minutes, with
`exec format error`.
"""

from collections.abc import Iterator, Mapping

from orchestrator.app.hosts import Builders
from orchestrator.errors import UsageError
from orchestrator.model import AppPlan, Plan
from orchestrator.plan.executing import Demand, executed, lacking
from orchestrator.schedule.platforms import parts_of

_MOST_SHOWN = 3


def unable(plan: Plan, builders: Builders, *, splits: bool) -> Mapping[str, frozenset[str]]:
    """The builders that cannot execute the steps of apps, by the app's name.

    Args:
        plan: what is to be built.
        builders: those that have answered.
        splits: whether images are built in parts, by hosts of their platforms.

    Raises:
        UsageError: no builder can, of an app or several.
    """
    offered = {each.named.name: builders.platforms(each) for each in builders.all}
    # One that does not say what it runs may run everything.
    runs = {each.named.name: {*each.can.platforms, each.platform} for each in builders.all if each.can.platforms}
    whole = [app for app in plan.apps if not (splits and parts_of(app, offered.values()))]
    found = lacking([Demand(app=app.app.name, platforms=executed(app)) for app in whole], runs)
    refused: dict[str, str] = {}
    for app in whole:
        lacks = found.get(app.app.name, {})
        able = [name for name in _asked(app, offered) if name not in lacks]
        # One that has not answered yet may do it.
        if lacks and not able and not builders.missing:
            refused[app.app.name] = next(iter(lacks.values()))
    if refused:
        raise _refused(refused)
    return {app: frozenset(lacks) for app, lacks in found.items()}


def _asked(app: AppPlan, offered: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """The builders that may get an app."""
    first = next(iter(app.build.platforms), "")
    for name, platforms in offered.items():
        if not first or not platforms or first in platforms:
            yield name


def _refused(apps: Mapping[str, str]) -> UsageError:
    names = ", ".join(list(apps)[:_MOST_SHOWN]) + (", ..." if len(apps) > _MOST_SHOWN else "")
    lacking_ = ", ".join(dict.fromkeys(apps.values()))
    architecture = next(iter(apps.values())).split("/")[1]
    return UsageError(
        f"{names}: steps of the build execute programs of {lacking_}, which no builder runs or emulates",
        hint=f"Name a builder of that platform with --host; or have one emulate it: docker run --privileged --rm "
        f"tonistiigi/binfmt --install {architecture}; or build for what there is, with --platform.",
    )
