"""Where the values of secrets are read: at the moment a build asks for one, and never kept."""

from collections.abc import Mapping

import anyio

from langs.errors import LangError
from langs.indexes import INDEXES, content
from orchestrator.buildkit import SecretReader
from orchestrator.config import Config
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
        value = config.environment.variables.get(source.env or "")
        if value is None:
            raise ConfigError(f"{where}: ${source.env} is not set", hint=f"Set {source.env}, or name another source.")
        return value.encode(errors="surrogateescape")

    return read


def _mirror_reader(config: Config, mirror: Mirror, key: str) -> SecretReader:
    source = SecretSource(name=mirror.name, env=mirror.env, file=mirror.file)
    read_address = _reader(config, source, table="mirrors")

    async def read() -> bytes:
        address = mirror.url or (await read_address()).decode(errors="replace").strip()
        try:
            return content(key, address)
        except LangError as error:
            raise ConfigError(f"{config.secrets_file}: {error.message}", hint=error.hint) from error

    return read
