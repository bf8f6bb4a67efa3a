"""The wiring of `lock`: what generated Dockerfiles stand on becomes `fleetpacks.lock`, by the word of registries.

All apps are planned as if there were no lock file, so that it never holds what no app needs. Images that users' own
Dockerfiles name are theirs to pin.
"""

import anyio
import msgspec

from langs.facts import GENERATED
from orchestrator.app import make_plan
from orchestrator.app.logins import given
from orchestrator.app.mirroring import mirroring
from orchestrator.app.written import write
from orchestrator.config import Config, lock
from orchestrator.errors import ImageNotFoundError
from orchestrator.plan.images import images
from orchestrator.plan.planner import Request
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.skip.bases import BaseImages, UnknownBaseError

_AT_ONCE = 8
"""Questions to registries; each is small, and some registries count them."""


class Locked(msgspec.Struct, frozen=True, kw_only=True):
    """One image."""

    name: str
    digest: str | None
    """None when no app needs it any more."""
    before: str | None
    """What the file said."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the file has to say, and what it said."""

    images: tuple[Locked, ...]
    warnings: tuple[str, ...]

    @property
    def outdated(self) -> bool:
        """Whether the file said something else."""
        return any(each.digest != each.before for each in self.images)


async def pin(config: Config, *, check: bool) -> Outcome:
    """Ask registries which images are meant, and write the file.

    Args:
        config: what was said.
        check: write nothing.

    Raises:
        UsageError: there is no app, or the file cannot be written.
        ConfigError: an app's files are wrong.
        ImageNotFoundError: an image is not there, or its registry does not answer.
    """
    plan = await make_plan(msgspec.structs.replace(config, lock=None), Request(push=False))
    texts = [app.build.dockerfile for app in plan.apps if app.build.language in GENERATED]
    names = sorted({name for text in texts for name in images(text).names if "@" not in name})
    before = config.lock or {}
    digests, news = await _digests(config, names)
    if not check and (digests != before or config.lock is None):
        hint = "Check the directory's permissions."
        # It is committed, and read by everybody who may read its neighbours.
        write(config.root / lock.FILE, lock.text(digests), what="the lock file", hint=hint, mode=0o644)
    every = sorted({*digests, *before})
    return Outcome(
        images=tuple(Locked(name=name, digest=digests.get(name), before=before.get(name)) for name in every),
        warnings=(*plan.warnings, *news),
    )


async def _digests(config: Config, names: list[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The digests by name, and what is to be said of mirrors."""
    found: dict[str, str] = {}
    problems: list[str] = []
    limiter = anyio.CapacityLimiter(_AT_ONCE)
    credentials = Credentials(config.docker_config / "config.json", given(config))
    async with (
        RegistryClient(credentials, config.registries, ca=config.network.ca) as client,
        mirroring(config, credentials) as mirrored,
    ):
        bases = BaseImages(client, mirrors=mirrored.mirrors)

        async def ask(name: str) -> None:
            async with limiter:
                try:
                    found.update(await bases.digests((name,)))
                except UnknownBaseError as error:
                    problems.append(str(error))

        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(ask, name)
    if problems:
        raise ImageNotFoundError(
            "; ".join(sorted(problems)[:3]),
            hint="Correct the version or the image, or log in to its registry. Nothing was written.",
        )
    return dict(sorted(found.items())), mirrored.news()
