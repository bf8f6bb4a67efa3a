"""What each app needs of the others: told by its manifests, and declared by `depends_on` and `contexts`.

An app is found by its path or its name, anything else is a directory. Who needs whom must not go round, however it was
said: nothing could be built first.
"""

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec

from orchestrator.config import Config
from orchestrator.config.decode import Key, did_you_mean
from orchestrator.config.repository import APP, FILE, Stated, normal_path
from orchestrator.errors import ConfigError
from orchestrator.model import App
from orchestrator.workspace.discover import LEFT_OUT, check_out_hint, inside
from orchestrator.workspace.files import printable
from orchestrator.workspace.graph import cycle

_Origins = dict[tuple[str, str], tuple[Stated, Key]]


class _Known(msgspec.Struct, frozen=True):
    """All apps, by what they can be called."""

    config: Config
    paths: Mapping[str, App]
    names: Mapping[str, App]
    absent: Collection[str]

    def app(self, word: str) -> App | None:
        return self.paths.get(word) or self.names.get(word)

    def unknown(self, stated: Stated, key: Key, word: str, problem: str) -> ConfigError:
        near = did_you_mean(word, (*self.names, *self.paths))
        hint = f"Did you mean {near!r}?" if near else "See `fleetpacks apps` for all apps."
        if self.config.project_path not in {None, "."}:
            hint = "Apps outside of $PROJECT_PATH are not seen: unset it, or declare a directory."
        left_out = [path for path in self.absent if path == normal_path(word) or self._is_called(path, word)]
        if left_out:
            problem, hint = LEFT_OUT, check_out_hint(min(left_out))
        elif self.absent and not near:
            hint = "The checkout is sparse: apps that it leaves out are not seen."
        return stated.error(key, f"{printable(word)!r} {problem}", hint=hint)

    def _is_called(self, path: str, name: str) -> bool:
        """Whether a declared app that is not here has a name."""
        return self.config.is_declared(path) and (self.config.name_for(path) or posixpath.basename(path)) == name


def link(config: Config, apps: Sequence[App], absent: Collection[str] = ()) -> tuple[App, ...]:
    """The apps, each with what it needs.

    Args:
        config: what was said.
        apps: all of them, with their final names.
        absent: directories of which a sparse checkout leaves files out.

    Raises:
        ConfigError: what is declared does not exist, or apps need each other in a circle.
    """
    known = _Known(config, {app.path: app for app in apps}, {app.name: app for app in apps}, absent)
    origins: _Origins = {}
    linked = tuple(_linked(known, app, origins) for app in apps)
    if config.shared is not None and "." not in known.paths and config.project_path in {None, "."}:
        _check_root(config.shared)
    edges = {app.path: tuple(known.names[name].path for name in app.depends_on) for app in linked}
    around = cycle(edges)
    if around is not None:
        raise _circle(known, around, origins)
    return linked


def place_of(app: App) -> str:
    """The directory whose configuration speaks of an app: that of a service is where its Compose file was named."""
    service = app.settings.service
    if service is None:
        return app.path
    file = posixpath.normpath(service.file)
    return app.path.removesuffix(f"#{service.name}").removesuffix(file).rstrip("/") or "."


def _linked(known: _Known, app: App, origins: _Origins) -> App:
    needs: dict[str, None] = {}
    packages: dict[str, None] = {}
    for path in app.detection.packages:
        _sort(known, app, path, needs, packages)
    contexts = dict(app.contexts)
    for path in contexts.values():
        if path not in known.paths:
            raise ConfigError(
                f"{printable(app.path)}: it stands on {printable(path)!r}, which is no app", hint="Declare it."
            )
    for stated in _stated(known.config, app):
        for index, word in enumerate(stated.table.depends_on):
            key: Key = ("depends_on", index)
            place = normal_path(word)
            needed = known.app(word) or known.paths.get(place or "")
            if needed is not None:
                needs[needed.path] = None
                origins.setdefault((app.path, needed.path), (stated, key))
            elif place is not None and inside(known.config, place) is not None:
                _sort(known, app, place, needs, packages)
            else:
                raise known.unknown(stated, key, word, "is neither an app nor a directory of the source")
        for name, value in stated.table.contexts.items():
            needed = known.app(value.removeprefix(APP))
            if needed is None:
                raise known.unknown(stated, ("contexts", name), value.removeprefix(APP), "is no app")
            contexts[name] = needed.path
            origins.setdefault((app.path, needed.path), (stated, ("contexts", name)))
    needs |= dict.fromkeys(contexts.values())
    return msgspec.structs.replace(
        app,
        depends_on=tuple(known.paths[path].name for path in needs),
        packages=tuple(packages),
        contexts=contexts,
    )


def _sort(known: _Known, app: App, path: str, needs: dict[str, None], packages: dict[str, None]) -> None:
    """Add what is at `path` to the one or the other; what is in the app anyway is neither."""
    own = app.directory.relative_to(known.config.root).as_posix()
    if path in known.paths and path != app.path:
        needs[path] = None
    elif own not in {".", path} and not path.startswith(f"{own}/"):
        packages[path] = None


def _stated(config: Config, app: App) -> Iterator[Stated]:
    place = place_of(app)
    return (stated for stated in config.stated_for(place) if stated is not config.shared or place == ".")


def _check_root(shared: Stated) -> None:
    for key, said in (("depends_on", shared.table.depends_on), ("contexts", shared.table.contexts)):
        if said:
            raise shared.error(
                (key,),
                "here it speaks of the app at the root, and there is none",
                hint=f'Put it into [apps."path"] here, or into the {FILE} of the app.',
            )


def _circle(known: _Known, around: tuple[str, ...], origins: _Origins) -> ConfigError:
    shown = " -> ".join(known.paths[path].name for path in around)
    problem = f"apps need each other: {shown}"
    hint = "Take one of these away: none of them could come first."
    for pair in pairwise(around):
        if pair in origins:
            stated, key = origins[pair]
            return stated.error(key, problem, hint=hint)
    return ConfigError(
        problem, hint="Their manifests say so: take one of the dependencies away, or leave an app out by `ignore`."
    )
