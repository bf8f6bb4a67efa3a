"""Which platforms of an image are built together, and which on hosts of their own. Pure."""

from collections.abc import Collection, Iterable, Sequence

import msgspec

from orchestrator.model import AppPlan


def groups(wanted: Sequence[str], offered: Iterable[Collection[str]]) -> tuple[tuple[str, ...], ...]:
    """The platforms of an image, by who builds them.

    A host that builds for all of them builds the image as a whole. Otherwise each platform has a host of its own; and
    where one has none, the whole image goes to a host of its first platform, which may emulate the others.

    Args:
        wanted: the platforms of the image, at least one, or none where nothing was said.
        offered: what each host builds for; nothing: whatever is asked for.
    """
    hosts = [frozenset(each) for each in offered]
    if len(wanted) > 1 and not any(not host or host.issuperset(wanted) for host in hosts):
        known = frozenset[str]().union(*hosts)
        if known.issuperset(wanted):
            return tuple((platform,) for platform in dict.fromkeys(wanted))
    return (tuple(wanted),)


def parts_of(plan: AppPlan, offered: Iterable[Collection[str]]) -> tuple[AppPlan, ...]:
    """The plans of an image's platforms, where hosts of their own build them; none: one host builds all.

    Args:
        plan: the app's.
        offered: what each host builds for.
    """
    split = groups(plan.build.platforms, offered)
    if len(split) == 1:
        return ()
    return tuple(
        msgspec.structs.replace(plan, build=msgspec.structs.replace(plan.build, platforms=(platform,)), part=platform)
        for (platform,) in split
    )
