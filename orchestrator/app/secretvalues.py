"""Where the values of secrets are read: at the moment a build asks for one, and never kept."""

from collections.abc import Mapping

import anyio

from langs.errors import LangError
from langs.indexes import INDEXES, content
from orchestrator.buildkit import SecretReader
from orchestrator.config import Config
from orchestrator.config.environment import BUILD_VARIABLES
from orchestrator.errors import ConfigError
from orchestrator.model import Mirror, SecretSource


def secret_readers(config: Config) -> Mapping[str, SecretReader]:
    """Readers of the operator's secrets, by name; they raise a `ConfigError` for a value that cannot be read."""
    return {name: _reader(config, source, table="secrets") for name, source in config.secrets.items()}


def mirror_readers(config: Config) -> Mapping[str, SecretReader]:
    """Readers of what tools read of the operator's mirrors, by the keys of `INDEXES`."""
    return {
        key: _mirror_reader(config, config.mirrors[index.name], key)
        for key, index in INDEXES.items()
        if index.name in config.mirrors
    }


async def mirror_addresses(config: Config) -> Mapping[str, str]:
    """The addresses of the operator's mirrors, by name.

    Raises:
        ConfigError: one cannot be read.
    """
    found: dict[str, str] = {}
    for mirror in config.mirrors.values():
        found[mirror.name] = await _address(config, mirror)
    return found


async def _address(config: Config, mirror: Mirror) -> str:
    if mirror.url is not None:
        return mirror.url
    read = _reader(config, SecretSource(name=mirror.name, env=mirror.env, file=mirror.file), table="mirrors")
    return (await read()).decode(errors="replace").strip()


def _reader(config: Config, source: SecretSource, *, table: str) -> SecretReader:
    async def read() -> bytes:
        where = f"{config.secrets_file}: {table}.{source.name}"
        if source.file is not None:
            try:
                return await anyio.Path(source.file).read_bytes()
            except OSError as error:
                raise ConfigError(
                    f"{where}: {source.file}: {error.strerror}", hint="Name a file that can be read."
                ) from error
        if source.env == BUILD_VARIABLES:
            return config.environment.build_variables[source.name].encode(errors="surrogateescape")
        value = config.environment.variables.get(source.env or "")
        if value is None:
            raise ConfigError(f"{where}: ${source.env} is not set", hint=f"Set {source.env}, or name another source.")
        return value.encode(errors="surrogateescape")

    return read


def _mirror_reader(config: Config, mirror: Mirror, key: str) -> SecretReader:
    async def read() -> bytes:
        address = await _address(config, mirror)
        try:
            return content(key, address)
        except LangError as error:
            raise ConfigError(f"{config.secrets_file}: {error.message}", hint=error.hint) from error

    return read
