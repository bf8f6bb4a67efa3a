"""`fleetpacks init`: CI and cluster files out of what is configured."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from orchestrator.cli import errors, loop, output
from orchestrator.config import Flags, environment, load
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.init.project import Generated, Project

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "-C", "--source", metavar="DIR", help="The monorepo; default: $SOURCE_DIR, else the current directory."
    ),
    click.option("--image", metavar="TEMPLATE", help="Where images go; may hold {app} {path} {branch} {sha}."),
    click.option("--host", "hosts", metavar="URL", multiple=True, help="A builder; default: as for `build`."),
    click.option(
        "--branch", metavar="NAME", help="Whose images are `latest`; default: the remote's, the only one, main."
    ),
    click.option("--package", metavar="REQUIREMENT", help="What pip installs; default: this version of fleetpacks."),
    click.option("-o", "--output", "into", metavar="DIR", help="Write the files below DIR; default: the source."),
    click.option("--stdout", "show", is_flag=True, help="Print the files; write none."),
    click.option("--force", is_flag=True, help="Replace files that are there and differ."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the options of every target say."""

    source: str | None
    image: str | None
    hosts: tuple[str, ...]
    branch: str | None
    package: str | None
    into: str | None
    show: bool
    force: bool
    as_json: bool


def _options(command: F) -> F:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group()
def init() -> None:
    """Write working CI and cluster files, from what is configured."""


@init.command()
@click.option(
    "--runner",
    type=click.Choice(["hosted", "self-hosted"]),
    default="hosted",
    show_default=True,
    help="Whose machines run it: GitHub's, or yours, which keep caches.",
)
@_options
def github(*, runner: Any, **said: Any) -> int:  # noqa: ANN401 -- click's words, which `Asked` checks
    """A workflow of GitHub Actions: .github/workflows/images.yml."""
    from orchestrator.init.github import workflow  # noqa: PLC0415 -- jinja2: only now

    return _made(msgspec.convert(said, Asked), partial(workflow, runner=runner))


@init.command()
@_options
def gitlab(**said: Any) -> int:  # noqa: ANN401 -- as above
    """A pipeline of GitLab CI: .gitlab-ci.yml."""
    from orchestrator.init.gitlab import pipeline  # noqa: PLC0415 -- as above

    return _made(msgspec.convert(said, Asked), pipeline)


_tool = click.option("--tool", metavar="IMAGE", help="The image that has fleetpacks and git in it.")
_repository = click.option(
    "--repository", metavar="URL", help="Where the source is fetched; default: where git fetches it."
)


@init.command()
@_tool
@_repository
@click.option(
    "--replicas", type=click.IntRange(1, 100), default=2, show_default=True, help="Builders behind the one name."
)
@click.option("--cache-class", metavar="NAME", help="Storage class of the volume that jobs share (ReadWriteMany).")
@click.option("--builder-class", metavar="NAME", help="Storage class of the builders' disks.")
@click.option(
    "--builder-size",
    "gigabytes",
    metavar="GB",
    type=click.IntRange(10, 100_000),
    default=100,
    show_default=True,
    help="Size of each builder's disk.",
)
@_options
def kubernetes(
    *,
    tool: str | None,
    repository: str | None,
    replicas: int,
    cache_class: str | None,
    builder_class: str | None,
    gigabytes: int,
    **said: Any,  # noqa: ANN401 -- as above
) -> int:
    """Builders and a job in a cluster: deploy/fleetpacks.yaml and deploy/fleetpacks-job.yaml."""
    from orchestrator.init.kubernetes import manifests  # noqa: PLC0415 -- as above

    make = partial(
        manifests, replicas=replicas, cache_class=cache_class, builder_class=builder_class, gigabytes=gigabytes
    )
    return _made(msgspec.convert(said, Asked), make, tool=tool, repository=repository)


@init.command()
@_tool
@_repository
@_options
def shipwright(*, tool: str | None, repository: str | None, **said: Any) -> int:  # noqa: ANN401 -- as above
    """A strategy for Shipwright, and a build that uses it: deploy/shipwright.yaml."""
    from orchestrator.init.shipwright import strategy  # noqa: PLC0415 -- as above

    return _made(msgspec.convert(said, Asked), strategy, tool=tool, repository=repository)


@init.command()
@_options
def runner(**said: Any) -> int:  # noqa: ANN401 -- as above
    """A script that makes a machine of yours ready: fleetpacks-runner.sh."""
    from orchestrator.init.runner import script  # noqa: PLC0415 -- as above

    return _made(msgspec.convert(said, Asked), script)


def _made(
    asked: Asked,
    generate: "Callable[[Project], Generated]",
    *,
    tool: str | None = None,
    repository: str | None = None,
) -> int:
    from orchestrator.app import initing  # noqa: PLC0415 -- as above

    if asked.show and asked.into is not None:
        raise UsageError("--stdout and --output contradict each other", hint="Say one of both.")
    variables = environment.read()
    source = environment.source(asked.source, variables)
    config = load(source, variables, Flags(image=asked.image, hosts=asked.hosts))
    wishes = initing.Wishes(branch=asked.branch, package=asked.package, tool=tool, repository=repository)
    into = None if asked.show else Path(asked.into) if asked.into is not None else config.root
    outcome = loop.run(partial(initing.init, config, wishes, generate, into=into, force=asked.force))
    for warning in outcome.warnings:
        errors.warn(warning)
    if asked.as_json:
        texts = {"files": [{"path": file.path, "text": file.text} for file in outcome.files]}
        output.write_json(texts if asked.show else {"files": msgspec.to_builtins(outcome.written)})
    elif asked.show:
        # One of several begins as a document of its own, so that all are one stream of YAML.
        sys.stdout.write("---\n".join(file.text for file in outcome.files))
    else:
        output.write_table((each.path, each.state) for each in outcome.written)
    return 0
