"""Fetching archives from package registries: a package lies under its digest, once it was found to have it."""

import hashlib
import ssl
from collections.abc import Mapping
from pathlib import Path

import anyio
import httpx

from orchestrator.bases import sources
from orchestrator.bases.recipes import Archive
from orchestrator.errors import ConfigError, TransientError
from orchestrator.registry import trust
from orchestrator.temporary import beside

_SILENCE = 60.0
"""Seconds in which a registry must send something."""
_LARGEST_PAGE = 64 * 1024 * 1024
_AS_IT_IS = {"Accept-Encoding": "identity"}
_SERVER_ERROR = 500


async def fetch(archive: Archive, folder: Path, registries: Mapping[str, str], *, ca: Path | None = None) -> Path:
    """A package as its registry serves it, fetched once.

    Args:
        archive: the package, and the digest it must have.
        folder: where packages lie.
        registries: their addresses, by the names of `langs.indexes.ORIGINS`.
        ca: a file of authorities that are trusted beside the machine's.

    Raises:
        ConfigError: it is not there, is another file than the recipe says, or the authorities cannot be read.
        TransientError: its registry does not answer.
    """
    finished = folder / archive.sha256
    if await anyio.Path(finished).exists():
        return finished
    index = sources.index_of(archive)
    address = registries[index]
    unfinished = beside(finished)
    # The machine's own certificate authorities, not those that httpx comes with.
    context = ssl.create_default_context()
    trust.add(context, ca)
    client = httpx.AsyncClient(verify=context, timeout=_SILENCE, follow_redirects=True)
    try:
        async with client:
            url = await _found(client, archive, address)
            digest = await _save(client, url, unfinished)
        if digest != archive.sha256:
            raise ConfigError(
                f"{archive.name}: {index} serves a file with the digest sha256:{digest}, not sha256:{archive.sha256}",
                hint="Does the mirror serve the public registry's file, unchanged?",
            )
        await anyio.Path(unfinished).rename(finished)
    except httpx.HTTPError as error:
        raise _translated(archive, index, error) from error
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.Path(unfinished).unlink(missing_ok=True)
    return finished


async def _found(client: httpx.AsyncClient, archive: Archive, address: str) -> str:
    if archive.npm is not None:
        return sources.npm_url(archive.npm, address)
    if archive.maven is not None:
        return sources.maven_url(archive.maven, address)
    if archive.go is not None:
        return sources.go_url(archive.go, address)
    page = sources.pypi_page(f"{archive.pypi}", address)
    answer = (await client.get(page)).raise_for_status()
    url = sources.on_page(answer.text[:_LARGEST_PAGE], str(answer.url), archive.sha256)
    if url is None:
        raise ConfigError(
            f"{archive.name}: the index lists no file with the digest sha256:{archive.sha256}",
            hint="Does the mirror have this version, with digests in its links?",
        )
    return url


async def _save(client: httpx.AsyncClient, url: str, path: Path) -> str:
    digest = hashlib.sha256()
    async with client.stream("GET", url, headers=_AS_IT_IS) as answer, await anyio.open_file(path, "wb") as target:
        answer.raise_for_status()
        async for data in answer.aiter_raw():
            digest.update(data)
            await target.write(data)
    return digest.hexdigest()


def _translated(archive: Archive, index: str, error: httpx.HTTPError) -> ConfigError | TransientError:
    # Not the address: there may be a password in it.
    hint = f"A mirror is named by --mirror {index}=URL, or as mirrors.{index} in the operator's file."
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        message = f"{archive.name}: {index} answers {status} {error.response.reason_phrase}"
        return ConfigError(message, hint=hint) if status < _SERVER_ERROR else TransientError(message, hint=hint)
    return TransientError(f"{archive.name}: {index} cannot be asked: {type(error).__name__}", hint=hint)
