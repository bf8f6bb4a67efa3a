"""`build` and `tag` as commands: what a run shows, and what is told of it when it is over.

Imports the heavy libraries (h2, protobuf, h11): imported itself only where a build begins.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TextIO

import msgspec

from orchestrator.app.display import Display, Kind, display_on, summarise
from orchestrator.app.ending import Ending
from orchestrator.app.execution import BuildOptions, checked_out, executed, registry_of
from orchestrator.app.recording import Recording
from orchestrator.app.signals import Signals
from orchestrator.config import Config
from orchestrator.engine.run import exit_code
from orchestrator.model import Plan
from orchestrator.registry.reference import parse


async def run_build(
    config: Config,
    plan: Plan,
    options: BuildOptions,
    *,
    progress: TextIO,
    kind: Kind = "plain",
    colour: bool = False,
    document: TextIO | None = None,
) -> int:
    """Build a plan, publish it, and write the result file that was asked for.

    The first SIGINT or SIGTERM cancels the builds on the daemon and waits until they are gone and all is told; a second
    one leaves at once (a daemon ends the builds of a client that has vanished).

    Args:
        config: what was said.
        plan: what to build.
        options: how.
        progress: where progress goes.
        kind: what is shown of it.
        colour: whether a terminal may be coloured.
        document: receives the result as JSON, too.

    Returns:
        The process's exit code.

    Raises:
        UsageError: the builder's address is wrong.
        UnwrittenError: the result file cannot be written.
        TransientError: nothing answers at the builder's address, or not within 30 seconds.
    """
    began = time.monotonic()
    signals = Signals()
    async with Signals().watched():
        config = await checked_out(config)
    record = Recording(config)
    begun = False

    @contextmanager
    def shown(known: Plan) -> Generator[Display]:
        nonlocal begun
        annotated = known if config.environment.ci.annotates else None
        with display_on(progress, kind, colour=colour, annotated=annotated) as display:
            begun = True
            yield display

    made = await executed(config, plan, options, record=record, signals=signals, shown=shown)
    failure = made.failure
    # A signal that comes while the end is told changes it no more.
    interrupted = signals.exit_code
    code = interrupted or (failure.exit_code if failure else exit_code(made.outcomes.values()))
    ending = Ending(
        began=began,
        result_file=config.result_file,
        document=document,
        events=progress if kind == "json" and not begun else None,
        custom=config.environment.custom_data,
    )
    await ending.tell(made.plan, made.outcomes, exit_code=code, failure=failure)
    summarise(config.environment.ci, made.plan, made.outcomes, failure, progress)
    await record.send_trace()
    if failure is not None and not interrupted:
        raise failure
    return code


class Tagged(msgspec.Struct, frozen=True, kw_only=True):
    """A tag that now points to an image."""

    reference: str
    digest: str


async def run_tag(
    config: Config, sources: Sequence[str], tags: Sequence[str], *, tagged: Callable[[Tagged], None]
) -> None:
    """Put more tags on what was published: requests to a registry, no build.

    Args:
        config: what was said.
        sources: images, as `repository:tag` or `repository@digest`.
        tags: bare tags, put on every source in its own repository.
        tagged: hears of every tag as soon as it is there.

    Raises:
        UsageError: a reference or a tag cannot be; nothing was tagged.
        ImageNotFoundError, RegistryError, RegistryUnavailableError: the registry's answer.
    """
    references = [parse(source) for source in sources]
    targets = [[reference.with_tag(tag) for tag in tags] for reference in references]
    async with registry_of(config) as (registry, _):
        for reference, wanted in zip(references, targets, strict=True):
            manifest = await registry.get_manifest(reference)
            for target in wanted:
                await registry.put_manifest(target, manifest)
                tagged(Tagged(reference=str(target), digest=manifest.digest))
