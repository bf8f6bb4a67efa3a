"""What is different on the command line of `build` and `plan` in drop-in mode: who waits for migetpacks' manners."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

import click
import msgspec

from orchestrator.cli import errors
from orchestrator.config import Config, environment
from orchestrator.errors import EXIT_OK, ConfigError, FleetpacksError, UnwrittenError, UsageError
from orchestrator.model import DaemonKind

OPTION = "--drop-in"
_SOURCE = "/workspace/source"
option = click.option(
    OPTION, "drop_in", is_flag=True, help="Understand the environment as migetpacks does; see docs/dropin.md."
)


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a command finds itself."""

    variables: Mapping[str, str]
    """The environment; in drop-in mode, without what the container's own image has brought along."""
    root: Path
    result_file: Path | None
    failure: FleetpacksError | None = None
    """Why nothing can be done here: told when there is a result that says so."""

    def understood(self) -> Mapping[str, str]:
        """The environment.

        Raises:
            ConfigError: the list of what the image has brought along cannot be read.
        """
        if self.failure is not None:
            raise self.failure
        return self.variables


def surroundings(
    source: str | None, result_file: Path | None = None, *, drop_in: bool, written: bool = False
) -> Surroundings:
    """Look around.

    Args:
        source: what the command line says of the source.
        result_file: what it says of the result file.
        drop_in: whether migetpacks' places count where nothing is said.
        written: whether there is a result that says why nothing can be done.

    Raises:
        ConfigError: the list of what the image has brought along cannot be read, and it is not said by a result.
    """
    said = environment.read()
    if not drop_in:
        return Surroundings(
            variables=said,
            root=environment.source(source, said),
            result_file=result_file or environment.result_file(said),
        )
    from orchestrator.config import dropin  # noqa: PLC0415 -- start-up counts: one mode alone needs it

    failure: FleetpacksError | None = None
    try:
        said = dropin.seen(said, environment.image_variables(said))
    except ConfigError as error:
        if not written:
            raise
        failure = error
    file = result_file or environment.result_file(said)
    ready(file)
    root = Path(source or said.get("SOURCE_DIR") or _SOURCE)
    return Surroundings(variables=said, root=root, result_file=file, failure=failure)


def ready(result_file: Path | None) -> None:
    """Make the directory of the result file, as migetpacks does; where that fails, writing the file says why."""
    if result_file is not None:
        with suppress(OSError):
            result_file.parent.mkdir(parents=True, exist_ok=True)


def ended(run: Callable[[], int], said: Surroundings, *, drop_in: bool) -> int:
    """Run a build; returns the exit code.

    Whoever reads a result file knows how the run ended: in drop-in mode a pipeline shall come to the step that does.

    Raises:
        FleetpacksError: it failed, and nobody has been told.
    """
    if not drop_in or said.result_file is None:
        return run()
    try:
        run()
    except UnwrittenError:
        raise
    except FleetpacksError as error:
        errors.show(error)
    return EXIT_OK


def own_daemon(config: Config) -> DaemonKind | Literal["auto"] | None:
    """What is started where nobody has named a builder and no socket was mounted, as migetpacks does; else None.

    Raises:
        UsageError: a builder was named in a wrong way.
    """
    if not config.drop_in:
        return None
    from orchestrator.app import builder  # noqa: PLC0415 -- h2, protobuf: only now

    try:
        builder.addresses(config)
    except UsageError:
        if config.hosts:
            raise
    else:
        return None
    import shutil  # noqa: PLC0415 -- start-up counts: with it come all ways to compress

    path = config.environment.variables.get("PATH")
    return "auto" if shutil.which("buildkitd", path=path) else "dockerd"


def not_kept(config: Config) -> UsageError:
    """The error for images that are to be loaded, where the only engine is one that is started for the run."""
    why, instead = "", "Leave --load out"
    if stays(config):
        why, instead = "the image's name has no registry, and ", "Name one, as in registry.example/app:1"
    return UsageError(
        f"{why}the image would go with the daemon that is started for it",
        hint=f"{instead}, write a file (-o type=docker,dest=FILE), or mount an engine's socket at "
        "/var/run/docker.sock.",
    )


def stays(config: Config) -> bool:
    """Whether the image stays in the engine that builds it, as migetpacks has it: its name has no registry."""
    if not config.drop_in or config.image is None:
        return False
    first, slash, _ = config.image.template.partition("/")
    return not (slash and (first == "localhost" or "." in first or ":" in first))
