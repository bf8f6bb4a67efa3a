"""The operator's file of a CI job or a cluster: what an operator would write by hand, read by the same loader.

What lies on the machine where it was generated (files with secrets, sockets) is not there: values come from variables,
which the platform fills from its own store. `$` and `{` never stand beside each other, since platforms would read
that as an expression of theirs: TOML has an escape for it.
"""

from collections.abc import Iterator, Sequence

from orchestrator.config.decode import quoted
from orchestrator.init.project import Builder, Project, mirror_variable

_UNITS = ("kB", "MB", "GB", "TB")


def text(
    project: Project,
    *,
    builders: Sequence[Builder],
    cache: str | None,
    local: str | None = None,
    mounts: str | None = None,
) -> str:
    """The file's text; empty when there is nothing to say.

    Args:
        project: what is known.
        builders: those that are reached from where the file is read.
        cache: where layer caches are kept.
        local: the directory of layer caches there.
        mounts: the directory of package caches there.
    """
    parts = [
        list(_top(project)),
        *(list(_host(each)) for each in builders),
        list(_cache(project, cache, local, mounts)),
        *(list(_registry(project, host)) for host in sorted({*project.insecure, *project.images})),
        list(_values(project)),
        *([f"[ssh.{string(name)}]"] for name in project.ssh),
    ]
    return "\n".join("".join(f"{line}\n" for line in part) for part in parts if part)


def string(value: str) -> str:
    """A string of TOML that no platform finds an expression in."""
    return quoted(value).replace("$", "\\u0024")


def size(count: int) -> str:
    """Bytes in the largest unit that says them exactly, and no less than a thousand."""
    count -= count % 1000
    unit = next(unit for unit in range(len(_UNITS), 0, -1) if count % 1000**unit == 0)
    return string(f"{count // 1000**unit}{_UNITS[unit - 1]}")


def _top(project: Project) -> Iterator[str]:
    if project.image is not None:
        yield f"image = {string(project.image)}"
    if project.jobs is not None:
        yield f"jobs = {project.jobs}"
    if project.entitlements:
        yield f"entitlements = [{', '.join(map(string, project.entitlements))}]"
    if project.hedge is not None:
        yield f"hedge = {project.hedge}"


def _host(builder: Builder) -> Iterator[str]:
    yield "[[hosts]]"
    yield f"url = {string(builder.url)}"
    if builder.slots is not None:
        yield f"slots = {builder.slots}"
    if builder.memory is not None:
        yield f"memory = {size(builder.memory)}"


def _registry(project: Project, host: str) -> Iterator[str]:
    yield f"[registries.{string(host)}]"
    if host in project.insecure:
        yield "insecure = true"
    if (mirror := project.images.get(host)) is not None:
        yield f"mirror = {string(mirror)}"


def _cache(project: Project, cache: str | None, local: str | None, mounts: str | None) -> Iterator[str]:
    if cache is None and local is None and mounts is None and not project.cache_from:
        return
    yield "[cache]"
    if cache is not None:
        yield f"image = {string(cache)}"
    if project.cache_from:
        yield f"from = [{', '.join(map(string, project.cache_from))}]"
    if local is not None:
        yield f"local = {string(local)}"
        yield f"local_size = {size(project.local_size)}"
    if mounts is not None:
        yield f"mounts = {string(mounts)}"
        yield f"mounts_size = {size(project.mounts_size)}"


def _values(project: Project) -> Iterator[str]:
    if project.secrets:
        yield "[secrets]"
        yield from (f"{name} = {{ env = {string(name)} }}" for name in project.secrets)
    if project.mirrors:
        yield from ([""] if project.secrets else [])
        yield "[mirrors]"
    for mirror in project.mirrors:
        variable = mirror_variable(mirror)
        source = f"url = {string(mirror.url or '')}" if variable is None else f"env = {string(variable)}"
        yield f"{mirror.name} = {{ {source} }}"
