"""What the lock file lacks of a plan, so that it is chosen anew: a warning, or with `--locked` an error. Pure.

Only generated Dockerfiles are looked at: one of the user's own pins for itself. A registry is never asked: that a tag
has moved since is no lack, which is what the file is for.
"""

from collections.abc import Iterator, Sequence

from langs.facts import GENERATED
from langs.model import AppBuild
from orchestrator.config.lock import FILE, Lock
from orchestrator.errors import ConfigError
from orchestrator.model import AppPlan
from orchestrator.plan.images import images

_MOST_NAMED = 5
_COMPLETE = "run `fleetpacks lock`"
WITHOUT_VERSIONS = f"{FILE} is of a format that had no versions: {_COMPLETE}"


def stands_on(built: AppBuild) -> tuple[str, ...]:
    """The images of a generated Dockerfile that no digest is known of."""
    return tuple(name for name in images(built.dockerfile).names if "@" not in name)


def warnings(lock: Lock, path: str, built: AppBuild) -> tuple[str, ...]:
    """What is to be said of the app at `path`."""
    return tuple(f"{FILE} {lack}: {_COMPLETE}" for lack in _lacks(lock, path, built))


def require(lock: Lock | None, apps: Sequence[AppPlan]) -> None:
    """See to it that nothing was chosen for these apps that the file does not have.

    Raises:
        ConfigError: something was, or there is no file.
    """
    if lock is None:
        raise ConfigError(f"{FILE}: there is none, and --locked was said", hint="Run `fleetpacks lock`, and commit it.")
    said = [f"it {lack} ({app.app.path})" for app in apps for lack in _lacks(lock, app.app.path, app.build)]
    if lock.versions is None:
        said.insert(0, "its format had no versions")
    if said:
        more = f"; and {len(said) - _MOST_NAMED} more" if len(said) > _MOST_NAMED else ""
        raise ConfigError(
            f"{FILE}: not all that these builds need, and --locked was said: {'; '.join(said[:_MOST_NAMED])}{more}",
            hint="Run `fleetpacks lock`, and commit what it changes.",
        )


def _lacks(lock: Lock, path: str, built: AppBuild) -> Iterator[str]:
    if built.language not in GENERATED:
        return
    # Of a format without versions it is said once.
    for choice in built.chosen if lock.versions is not None else ():
        before = lock.of(path).get(choice.tool)
        if before is None:
            yield f"does not have {choice.tool}, of which {choice.value} is taken"
        elif not choice.locked:
            why = f"which {choice.source} does not allow"
            yield f"has {choice.tool} {before}, {why}, so that {choice.value} is taken"
    for name in stands_on(built):
        yield f"does not have {name}"
