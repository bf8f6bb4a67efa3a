"""For which platforms a build executes programs: what a builder must run, natively or by emulation. Pure.

An image can be made for a platform that its builder does not run, as long as no step executes anything of it: files are
copied, and a compiler that runs on the builder's own platform (`FROM --platform=$BUILDPLATFORM`) writes for another
one. The text of a Dockerfile tells which stages do more than that. What cannot be told from it counts as nothing: the
daemon will say so.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from orchestrator.model import AppPlan
from orchestrator.plan.images import MOUNT_FROM
from orchestrator.plan.syntax import NATIVE, directives, expanded, instructions, unquoted, without_flags

_OWN = ""
"""The platform that the image is for."""
_FOR_IMAGE = frozenset({"$TARGETPLATFORM", "${TARGETPLATFORM}"})
_ANY = None


class _Stage(msgspec.Struct, kw_only=True):
    """What is known of a stage when the text behind it is read."""

    platform: str | None
    """Whose programs it executes: `_OWN`, a platform, or `_ANY`: the builder's own, or one that cannot be told."""
    executes: bool = False
    takes: list[str]
    """The stages and images that it stands on and copies from, as they are named."""


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """An app with platforms whose programs its build executes."""

    app: str
    platforms: tuple[str, ...]


def executed(plan: AppPlan) -> tuple[str, ...]:
    """The platforms whose programs the build of an app executes, but for the builder's own where none is named."""
    build = plan.build
    if not build.platforms and "--platform" not in build.dockerfile:
        return ()
    found = platforms(build.dockerfile, build.args, build.target)
    named = [*(build.platforms if _OWN in found else ()), *sorted(found - {_OWN})]
    return tuple(dict.fromkeys(named))


def platforms(text: str, args: Mapping[str, str] | None = None, target: str | None = None) -> frozenset[str]:
    """The platforms whose programs a Dockerfile's steps execute; "" is the one that the image is for.

    Args:
        text: the Dockerfile.
        args: build arguments, which go before the defaults of `ARG`.
        target: the stage that becomes the image; None: the last.
    """
    stages, names = _stages(text, args or {})
    if not stages:
        return frozenset()
    last = len(stages) - 1
    wanted = [last if target is None else _index(target, last + 1, names, default=last)]
    seen: set[int] = set()
    while wanted:
        index = wanted.pop()
        if index in seen or index is None:
            continue
        seen.add(index)
        wanted += [_index(name, index, names) for name in stages[index].takes]
    found = {stages[index].platform for index in seen if stages[index].executes}
    return frozenset(platform for platform in found if platform is not None)


def lacking(demands: Iterable[Demand], runs: Mapping[str, Collection[str]]) -> Mapping[str, Mapping[str, str]]:
    """The builders that cannot build an app, and the platform that each lacks: app -> builder -> platform.

    Args:
        demands: what apps need.
        runs: what each builder runs, natively or by emulation.
    """
    found: dict[str, dict[str, str]] = {}
    for demand in demands:
        for builder, there in runs.items():
            missing = next((each for each in demand.platforms if not is_among(each, there)), None)
            if missing is not None:
                found.setdefault(demand.app, {})[builder] = missing
    return found


def is_among(platform: str, there: Iterable[str]) -> bool:
    """Whether a builder runs a platform: processors of a later variant run the programs of the plain one."""
    return any(each == platform or each.startswith(f"{platform}/") for each in there)


def _stages(text: str, args: Mapping[str, str]) -> tuple[Sequence[_Stage], Mapping[str, int]]:
    escape, _, lines = directives(text)
    defaults: dict[str, str | None] = {}
    stages: list[_Stage] = []
    names: dict[str, int] = {}
    for instruction, rest, _, _ in instructions(lines, escape):
        words, flags = without_flags(rest)
        if instruction == "ARG" and not stages:
            for word in words.split():
                name, stated, value = word.partition("=")
                known = {**defaults, **args}
                defaults[name] = args.get(name, expanded(unquoted(value), known) if stated else None)
        elif instruction == "FROM":
            base, *alias = words.split() or [""]
            base = expanded(unquoted(base), defaults) or ""
            asked = next((value for flag, value in flags if flag == "platform"), None)
            inherited = _index(base, len(stages), names)
            platform = _OWN if inherited is None else stages[inherited].platform
            stages.append(_Stage(platform=platform if asked is None else _said(asked, defaults), takes=[base]))
            if len(alias) == 2 and alias[0].lower() == "as":  # noqa: PLR2004 -- AS NAME
                names[alias[1].lower()] = len(stages) - 1
        elif stages and instruction in {"RUN", "COPY", "ADD"}:
            stages[-1].executes |= instruction == "RUN"
            for flag, value in flags:
                match = MOUNT_FROM.search(unquoted(value)) if flag == "mount" else None
                source = unquoted(value) if flag == "from" else match[1] if match else ""
                stages[-1].takes += [source] if source else []
    return stages, names


def _said(platform: str, known: Mapping[str, str | None]) -> str | None:
    platform = unquoted(platform)
    if platform in NATIVE:
        return _ANY
    return _OWN if platform in _FOR_IMAGE else expanded(platform, known)


def _index(name: str, before: int, names: Mapping[str, int], *, default: int | None = None) -> int | None:
    """The stage of a name, or of a number, among those that stand before one."""
    found = names.get(name.lower(), int(name) if name.isascii() and name.isdecimal() and len(name) < 9 else None)  # noqa: PLR2004 -- longer ones are no indexes
    return found if found is not None and found < before else default
