"""The wiring of `lock` and `update`: what builds stand on becomes `fleetpacks.lock`, by the word of registries.

All apps are planned without the file's digests, so that it never holds what no app needs. Images that users' own
Dockerfiles name are theirs to pin.
"""

from collections.abc import Iterable, Sequence

import anyio
import msgspec

from orchestrator.app import make_plan
from orchestrator.app.logins import given
from orchestrator.app.mirroring import mirroring
from orchestrator.app.written import write
from orchestrator.config import Config, lock
from orchestrator.config.lock import Lock
from orchestrator.engine.stated import stated
from orchestrator.errors import FleetpacksError, ImageNotFoundError, RegistryUnavailableError
from orchestrator.model import AppPlan, Plan
from orchestrator.plan import relocking
from orchestrator.plan.planner import Request
from orchestrator.plan.relocking import Named, PinnedImage, PinnedVersion
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.skip.bases import BaseImages, UnknownBaseError

_AT_ONCE = 8
"""Questions to registries; each is small, and some registries count them."""
_MOST_TOLD = 3


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the file has to say, and what it said."""

    images: tuple[PinnedImage, ...]
    versions: tuple[PinnedVersion, ...]
    rewritten: bool
    """Whether the file is, or would be, written anew for its format alone."""
    warnings: tuple[str, ...]

    @property
    def outdated(self) -> bool:
        """Whether the file said something else."""
        changed = any(each.changed for each in self.images) or any(each.changed for each in self.versions)
        return changed or self.rewritten


async def pin(config: Config, *, ask: bool = True, save: bool = True, anew: Sequence[str] | None = None) -> Outcome:
    """Choose what the file lacks, and write it.

    Args:
        config: what was said.
        ask: whether registries are asked; else what the file lacks is told without its digest, and nothing is written.
        save: whether the file is written when it said something else.
        anew: apps and images for which the file does not count; none: it does not count at all. None: it counts.

    Raises:
        UsageError: there is no app, a name means none, or the file cannot be written.
        ConfigError: an app's files are wrong.
        ImageNotFoundError: an image is not there, or may not be read.
        RegistryUnavailableError: nothing but that: registries do not answer.
    """
    before = config.lock or Lock()
    plan, forgotten = await _planned(config, before, anew)
    needed, asked = relocking.asked_for(plan.apps, before, forgotten)
    news: tuple[str, ...] = ()
    digests = {name: before.images[name] for name in needed if name not in asked}
    if asked and ask:
        found, news = await _digests(config, asked, plan)
        digests |= found
    chosen = relocking.versions(plan.apps)
    images, versions = relocking.compared(before, needed, digests, chosen)
    outcome = Outcome(
        images=images,
        versions=versions,
        rewritten=config.lock is None or config.lock.versions is None,
        warnings=(*plan.warnings, *news),
    )
    if save and ask and outcome.outdated:
        said = {path: {tool: choice.value for tool, choice in tools.items()} for path, tools in chosen.items()}
        text = lock.text(Lock(images=digests, versions=said))
        # It is committed, and read by everybody who may read its neighbours.
        hint = "Check the directory's permissions."
        write(config.root / lock.FILE, text, what="the lock file", hint=hint, mode=0o644)
    return outcome


async def _planned(config: Config, before: Lock, anew: Sequence[str] | None) -> tuple[Plan, Named | None]:
    """All apps, and what is forgotten of the file; None: all of it."""
    everything = anew is not None and not anew

    async def planned(counts: Lock | None) -> Plan:
        return await make_plan(msgspec.structs.replace(config, lock=counts, locked=False), Request(push=False))

    if everything:
        return await planned(None), None
    plan = await planned(relocking.forgetting(before, ()))
    if anew is None:
        return plan, Named()
    forgotten = relocking.named(anew, plan.apps, before)
    return await planned(relocking.forgetting(before, forgotten.apps)), forgotten


async def _digests(config: Config, names: Sequence[str], plan: Plan) -> tuple[dict[str, str], tuple[str, ...]]:
    """The digests by name, and what is to be said of mirrors."""
    found: dict[str, str] = {}
    problems: list[UnknownBaseError] = []
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
                    problems.append(error)

        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(ask, name)
    if problems:
        raise unknown(problems, plan.apps)
    return dict(sorted(found.items())), mirrored.news()


def unknown(problems: Sequence[UnknownBaseError], apps: Iterable[AppPlan] = ()) -> FleetpacksError:
    """The error for base images whose digests cannot be told: trying again mends it only where that mends all.

    Args:
        problems: all of them.
        apps: the apps that stand on the images.
    """
    lasting = [each for each in problems if not each.transient]
    message = "; ".join(sorted(map(str, lasting or problems))[:_MOST_TOLD])
    if lasting:
        said = next((said for each in apps if (said := stated(each, message))), None)
        what = f"{said[:1].upper()}{said[1:]}" if said else "Correct the version or the image"
        hint = f"{what}, or log in to its registry. Nothing was written."
        return ImageNotFoundError(message, hint=hint)
    hint = "Try again later; check the registry's address, the network and the proxy settings. Nothing was written."
    return RegistryUnavailableError(message, hint=hint)
