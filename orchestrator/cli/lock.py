"""`fleetpacks lock` and `fleetpacks update`: versions and base images as they were chosen once."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click
import msgspec

from orchestrator.cli import errors, loop, output
from orchestrator.config import environment, load
from orchestrator.config.lock import FILE

if TYPE_CHECKING:
    from orchestrator.app.lock import Outcome

_SHORT = len("sha256:") + 12
_source = click.option(
    "-C", "--source", metavar="DIR", help="The monorepo; default: $SOURCE_DIR, else the current directory."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command()
@_source
@click.option(
    "--check", is_flag=True, help="Write nothing and ask no registry; end with 1 when something would be written."
)
@_json
def lock(*, source: str | None, check: bool, as_json: bool) -> int:
    """Write the versions and base images that are chosen for the apps into fleetpacks.lock.

    From then on every build takes these, as long as the apps' files allow it. What the file has is kept, what it lacks
    is added, and what no app needs is dropped. Commit it.
    """
    outcome = _pinned(source, ask=not check)
    _show(outcome, written=not check, as_json=as_json)
    if check and outcome.outdated:
        errors.warn(f"{FILE} is outdated: run `fleetpacks lock`")
        return 1
    return 0


@click.command()
@_source
@click.option("--dry-run", is_flag=True, help="Write nothing.")
@_json
@click.argument("names", metavar="[APP|IMAGE...]", nargs=-1)
def update(*, source: str | None, dry_run: bool, as_json: bool, names: tuple[str, ...]) -> int:
    """Choose versions and base images anew, and write them into fleetpacks.lock.

    Apps are named by path or name, images as fleetpacks.lock does, with or without the tag; without names, all are
    meant. Of an app, its versions and the images that it stands on are.
    """
    _show(_pinned(source, save=not dry_run, anew=names), written=not dry_run, as_json=as_json)
    return 0


def _pinned(source: str | None, *, ask: bool = True, save: bool = True, anew: Sequence[str] | None = None) -> "Outcome":
    from orchestrator.app import lock as application  # noqa: PLC0415 -- h11: only now

    variables = environment.read()
    config = load(environment.source(source, variables), variables)
    outcome = loop.run(partial(application.pin, config, ask=ask, save=save, anew=anew))
    for warning in outcome.warnings:
        errors.warn(warning)
    return outcome


def _show(outcome: "Outcome", *, written: bool, as_json: bool) -> None:
    if as_json:
        output.write_json(
            {
                "file": FILE,
                "outdated": outcome.outdated,
                "written": written and outcome.outdated,
                "images": [msgspec.structs.asdict(each) for each in outcome.images],
                "versions": [msgspec.structs.asdict(each) for each in outcome.versions],
            }
        )
        return
    rows = list(_rows(outcome))
    same = len(outcome.images) + len(outcome.versions) - len(rows)
    if rows:
        output.write_table(rows)
    what = f"{len(rows)} changed, {same} unchanged"
    end = "" if not outcome.outdated else ", written" if written else ", not written"
    output.write_table([(f"{FILE}: {what}{end}",)])


def _rows(outcome: "Outcome") -> Iterator[tuple[str, str, str]]:
    """What is another than before."""
    for image in outcome.images:
        if image.changed:
            yield image.name, "", _changed(_short(image.before), _short(image.digest), needed=image.needed)
    for each in outcome.versions:
        if each.changed:
            why = f" ({each.source})" if each.source else ""
            changed = _changed(each.before, each.version, needed=each.version is not None)
            yield each.app, each.tool, f"{changed}{why}"


def _changed(before: str | None, after: str | None, *, needed: bool) -> str:
    new = "not needed" if not needed else after or "?"
    return f"new: {new}" if before is None else f"{before} -> {new}"


def _short(digest: str | None) -> str | None:
    return digest[:_SHORT] if digest else None
