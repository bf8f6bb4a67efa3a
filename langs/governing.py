"""Files that say something of apps below the directory in which they stand: manifests, lockfiles, versions, settings.

A member of a workspace is built from files above it. Which of them a tool really reads is not known before it runs, so
all that it may read are here: whoever asks whether a change reaches an app must not miss one.
"""

import posixpath
from collections.abc import Collection, Iterator
from typing import Final

_MANIFESTS: Final = (
    "build.boot build.gradle build.gradle.kts build.mill build.mill.scala build.mill.yaml build.sbt build.sc "
    "bunfig.toml Cargo.toml composer.json deno.json deno.jsonc deps.edn environment.yaml environment.yml Gemfile "
    "gems.rb go.mod go.work mix.exs "
    "package.json package.json5 Pipfile pixi.toml pom.xml project.clj project.json pyproject.toml requirements.txt "
    "settings.gradle settings.gradle.kts setup.cfg setup.py"
)
_LOCKFILES: Final = (
    "buildscript-gradle.lockfile bun.lock bun.lockb Cargo.lock composer.lock deno.lock Gemfile.lock gems.locked go.sum "
    "go.work.sum gradle.lockfile mix.lock npm-shrinkwrap.json package-lock.json packages.lock.json pdm.lock "
    "Pipfile.lock pnpm-lock.yaml poetry.lock settings-gradle.lockfile symfony.lock uv.lock yarn.lock"
)
_VERSIONS: Final = (
    ".bun-version .deno-version .dvmrc .elixir-version .go-version .java-version .kotlin-version .mill-jvm-version "
    ".mill-version .node-version .nvmrc .php-version .python-version .ruby-version .scala-version .sdkmanrc "
    ".mise.toml .tool-versions global.json mise.toml rust-toolchain rust-toolchain.toml"
)
_SETTINGS: Final = (
    ".npmrc .nxignore .pnp.cjs .pnp.loader.mjs .pnpmfile.cjs .yarnrc .yarnrc.yml Directory.Build.props "
    "Directory.Build.rsp "
    "Directory.Build.targets Directory.Packages.props gradle.properties gradlew lerna.json moon.yml mvnw NuGet.Config "
    "nuget.config NuGet.config nx.json pnpm-workspace.yaml tsconfig.base.json tsconfig.json turbo.json turbo.jsonc "
    "uv.toml"
)
NAMES: Final = frozenset(f"{_MANIFESTS} {_LOCKFILES} {_VERSIONS} {_SETTINGS}".split())
ENDINGS: Final = (".sln", ".slnx")
"""Of names that people choose."""
DIRECTORIES: Final = (".cargo", ".config", ".moon", ".mvn", ".yarn", "buildSrc", "build-logic", "gradle", "patches")
"""What stands in these counts, too."""
SBT: Final = "project"
"""sbt's directory, whose name others use as well: what counts in it are these."""
SBT_ENDINGS: Final = (".properties", ".sbt", ".scala")


def governing(files: Collection[str]) -> Iterator[tuple[str, str]]:
    """Those of `files` that say something of what is below a directory, each behind that directory.

    Args:
        files: POSIX paths; a directory is `.` where it is the one that they begin at.
    """
    for file in files:
        directory, name = posixpath.split(file)
        if name in NAMES or name.endswith(ENDINGS):
            yield directory or ".", file
        parts = directory.split("/")
        if parts[-1] == SBT and name.endswith(SBT_ENDINGS):
            yield posixpath.dirname(directory) or ".", file
        for index, part in enumerate(parts):
            if part in DIRECTORIES:
                yield "/".join(parts[:index]) or ".", file
