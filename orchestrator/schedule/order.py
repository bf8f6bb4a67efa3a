"""Which app is started next, when some need the image of another. Pure: a free slot asks, and is told.

An app waits until every app whose image it needs has succeeded; when one of them has not, it never starts. Of those
that may start, the first of the plan's order does.
"""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from orchestrator.model import Plan


class Start(msgspec.Struct, frozen=True):
    """Build this app now."""

    app: str


class GiveUp(msgspec.Struct, frozen=True):
    """Never build this app: one that it needs has failed, or was given up."""

    app: str
    because: str


def decide(
    waiting: Iterable[str],
    needs: Mapping[str, Collection[str]],
    *,
    running: Collection[str],
    succeeded: Collection[str],
    failed: Collection[str],
) -> Start | GiveUp | None:
    """What a free slot does next; None: nothing before one of the running apps has ended, or nothing at all.

    Args:
        waiting: the apps that have not been started or given up, in the order in which they are preferred.
        needs: app -> the apps whose images its build uses; an app without an entry needs none.
        running: the apps that are being built, or of which it is being found out whether they have to be.
        succeeded: those whose images are there.
        failed: those that have none, given up ones among them.

    Raises:
        ValueError: apps wait for each other, or for one that is in none of the four.
    """
    first: str | None = None
    stuck = False
    for app in waiting:
        wanted = needs.get(app, ())
        because = next((need for need in wanted if need in failed), None) if failed else None
        if because is not None:
            return GiveUp(app, because)
        if first is None:
            if all(need in succeeded for need in wanted):
                first = app
                if not needs or not failed:
                    break
            else:
                stuck = True
    if first is not None:
        return Start(first)
    if stuck and not running:
        raise ValueError("apps wait for each other")
    return None


def images(plan: Plan) -> Mapping[str, Mapping[str, str]]:
    """App -> the named contexts of its build -> the apps whose images they are."""
    names = {app.app.path: app.app.name for app in plan.apps}
    return {
        app.app.name: {context: names[path] for context, path in app.app.contexts.items()}
        for app in plan.apps
        if app.app.contexts
    }
