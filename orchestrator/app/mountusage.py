"""What a builder says of its cache mounts, and what follows from it. Pure.

A mount's record is described as `cached mount TARGET from exec COMMAND with id "NAMESPACE/ID"`, by the step that made
it (solver/llbsolver/mounts/mount.go, BuildKit v0.30.0). Whoever has its size measured hides it for that long, and is
counted as a user when it is measured: the first look after a use tells one less than the next, which measure nothing.
Of several users at the same time, one counts (cache/manager.go, cache/refs.go; seen with v0.30).
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from orchestrator.app.mountsteps import Mount
from orchestrator.buildkit import UsageRecord

_FEW: Final = 16 * 1024
"""Bytes: what is larger on a builder's disk is not empty. A look into it counts as a use."""
_MADE_BY_US: Final = "cached mount /fleetpacks-"
_USES: Final = 2
"""Of a mount that was made to be filled: that, and a look at its size."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A cache mount of a builder: several records, where steps that shared it badly have made several of it."""

    size: int
    """Bytes; unknown, and 0, while it is in use."""
    in_use: bool
    untouched: bool = False
    """Whether no build has used it since it was made to be filled, which may have been cut short."""
    used: Mapping[str, int]
    """How often, by the records' ids."""

    @property
    def may_be_empty(self) -> bool:
        """Whether it is worth a look."""
        return not self.in_use and (self.untouched or self.size < _FEW)


def filters(mounts: Iterable[Mount]) -> tuple[str, ...]:
    """What a builder is asked for, so that it measures nothing else."""
    # A dot for each quote: the filter has quotes of its own. Ids are letters, digits, dots and dashes.
    names = (mount.id.replace(".", "[.]") for mount in mounts)
    return tuple(f'type==exec.cachemount,description~="with id ./{name}.$"' for name in names)


def kept(records: Iterable[UsageRecord], mounts: Iterable[Mount]) -> Mapping[str, Kept]:
    """The cache mounts that a builder has, by their ids."""
    endings = {f'with id "/{mount.id}"': mount.id for mount in mounts}
    found: dict[str, list[UsageRecord]] = {}
    for record in records:
        for ending, mount in endings.items():
            if record.description.endswith(ending):
                found.setdefault(mount, []).append(record)
    return {
        mount: Kept(
            size=sum(record.size for record in its),
            in_use=any(record.in_use for record in its),
            untouched=all(record.description.startswith(_MADE_BY_US) and record.usage_count <= _USES for record in its),
            used={record.id: record.usage_count for record in its},
        )
        for mount, its in found.items()
    }


def is_unchanged(now: Kept, seen: Mapping[str, int]) -> bool:
    """Whether nobody has used a mount since it was read.

    Args:
        now: the mount.
        seen: how often it had been used then, by its records' ids.
    """
    return all(seen.get(record) == count for record, count in now.used.items())


def is_ours_alone(before: Kept, after: Kept | None) -> bool:
    """Whether a step of ours was the only one that used a mount meanwhile, as far as counts tell.

    Args:
        before: the mount, when looks at it told the same.
        after: the same, after the step.
    """
    return (
        after is not None
        and not after.in_use
        and after.used.keys() == before.used.keys()
        # Our step, and our look at what it has left.
        and sum(after.used.values()) <= sum(before.used.values()) + 2
    )


def does_not_pay(*, carried: float, cold: float | None, warm: float) -> bool:
    """Whether it takes less time to download than to carry.

    Args:
        carried: seconds that filling and keeping the cache has taken.
        cold: seconds that the steps which use it took when it was empty; None: nobody knows.
        warm: seconds that they took now; 0: none has run.
    """
    return cold is not None and warm > 0 and carried > cold - warm
