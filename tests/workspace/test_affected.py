"""Which apps a change reaches, and what is said of it."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import compose, dockerfile
from langs.facts import MANIFESTS
from langs.governing import NAMES, governing
from langs.model import Detection, Service, Settings
from langs.registry import LANGUAGES
from orchestrator.app import sources
from orchestrator.buildkit.context import Context, is_file
from orchestrator.config import load
from orchestrator.model import App
from orchestrator.workspace.affected import Changes, affected
from orchestrator.workspace.discover import discover
from orchestrator.workspace.files import walk
from orchestrator.workspace.links import link
from tests.workspace.conftest import Plant

_ROOT = Path("/shop")
_EXAMPLES = Path(__file__).parents[1] / "apps"
_WEB = """<Project Sdk="Microsoft.NET.Sdk.Web">
  <Import Project="..\\..\\eng\\common.props" />
  <ItemGroup>
    <ProjectReference Include="..\\Core\\Core.csproj" />
    <Compile Include="..\\..\\shared\\**\\*.cs" />
  </ItemGroup>
</Project>"""
_NET = {
    "net/src/Web/Web.csproj": _WEB,
    "net/src/Core/Core.csproj": '<Project Sdk="Microsoft.NET.Sdk" />',
    "net/src/Core/Core.cs": "",
    "net/src/Other/Other.csproj": '<Project Sdk="Microsoft.NET.Sdk" />',
    "net/eng/common.props": "<Project />",
    "net/eng/README.md": "",
    "net/shared/deep/Shared.cs": "",
    "net/shared/notes.txt": "",
    "net/nuget.config": "<configuration />",
}


def app(path: str, *, depends_on: tuple[str, ...] = (), packages: tuple[str, ...] = ()) -> App:
    return App(
        name=path.rpartition("/")[2] if path != "." else "shop",
        path=path,
        directory=_ROOT / path,
        detection=Detection(language="go", evidence=()),
        settings=Settings(),
        depends_on=depends_on,
        packages=packages,
    )


_APPS = (
    app("services/api", packages=("libs/shared", "libs/log")),
    app("services/base"),
    app("web", depends_on=("base", "api")),
    app("other"),
)


def reached(*files: str, apps: Sequence[App] = _APPS) -> Mapping[str, str]:
    return affected(_ROOT, apps, Changes(since="main", files=files), lambda _app, _files: ())


def found_in(root: Path) -> Sequence[App]:
    config = load(root, {})
    return link(config, discover(walk(root), config, partial(langs.detect, within=root)))


@pytest.mark.parametrize(
    ("files", "reasons"),
    [
        ((), {}),
        (("README.md", "services/README.md", "libs/other/x"), {}),
        (("other/x/y.go",), {"other": "changed since main: other/x/y.go"}),
        (("other/b", "other/a", "other/c/d"), {"other": "changed since main: other/a (+2 more)"}),
        (("otherwise/x",), {}),
        (
            ("libs/shared/x.go",),
            {
                "services/api": "its package libs/shared changed since main: libs/shared/x.go",
                "web": "api's package libs/shared changed since main: libs/shared/x.go",
            },
        ),
        (
            ("services/base/Dockerfile",),
            {
                "services/base": "changed since main: services/base/Dockerfile",
                "web": "it needs base, which changed since main: services/base/Dockerfile",
            },
        ),
        # Its own change says most.
        (
            ("web/x", "services/base/x"),
            {
                "services/base": "changed since main: services/base/x",
                "web": "changed since main: web/x",
            },
        ),
        (("fleetpacks.toml",), dict.fromkeys([each.path for each in _APPS], "changed since main: fleetpacks.toml")),
        (("fleetpacks.lock",), dict.fromkeys([each.path for each in _APPS], "changed since main: fleetpacks.lock")),
        (("go.work",), dict.fromkeys([each.path for each in _APPS], "changed since main: go.work")),
        (
            ("services/uv.lock",),
            {
                "services/api": "changed since main: services/uv.lock",
                "services/base": "changed since main: services/uv.lock",
                "web": "it needs base, which changed since main: services/uv.lock",
            },
        ),
        # A submodule is one path, whatever is in it: an app, its package, or the directory around both.
        (("other",), {"other": "changed since main: other"}),
        (
            ("libs",),
            {
                "services/api": "its package libs/shared changed since main: libs",
                "web": "api's package libs/shared changed since main: libs",
            },
        ),
        (("a\nb", "other/\x1b[2J"), {"other": "changed since main: other/\\x1b[2J"}),
    ],
)
def test_what_a_change_reaches_and_why(files: tuple[str, ...], reasons: dict[str, str]) -> None:
    assert reached(*files) == reasons


@pytest.mark.parametrize(
    ("example", "file", "names"),
    [
        ("go-workspace-services", "libs/sizes/sizes.go", ["api", "web"]),
        # What modules require is resolved for all modules of a workspace together.
        ("go-workspace-services", "libs/durations/go.mod", ["api", "web"]),
        ("go-workspace-services", "libs/unused/unused.go", []),
        ("go-workspace-services", "services/web/main.go", ["web"]),
        ("go-workspace-services", "go.work", ["api", "web"]),
        ("nodejs-npm-workspace", "packages/durations/src/index.ts", ["api"]),
        ("nodejs-npm-workspace", "packages/words/package.json", ["api", "web"]),
        ("nodejs-npm-workspace", "packages/unused/index.js", []),
        ("nodejs-npm-workspace", "package-lock.json", ["api", "web"]),
    ],
)
def test_a_real_workspaces_manifests_say_what_a_change_reaches(example: str, file: str, names: list[str]) -> None:
    root = _EXAMPLES / f"{example}/app"
    apps = found_in(root)

    found = affected(root, apps, Changes(since="main", files=(file,)), sources.told(root, langs.build))

    assert [each.name for each in apps if each.path in found] == names


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("net/eng/common.props", "changed since main: net/eng/common.props"),
        ("net/shared/deep/Shared.cs", "changed since main: net/shared/deep/Shared.cs"),
        ("net/nuget.config", "changed since main: net/nuget.config"),
        ("net/src/Core/Core.cs", "its package net/src/Core changed since main: net/src/Core/Core.cs"),
        # It is not there any more, and was sent.
        ("net/shared/Gone.cs", "changed since main: net/shared/Gone.cs"),
        ("net/eng/README.md", None),
        ("net/shared/notes.txt", None),
        ("net/src/Other/Other.csproj", None),
    ],
)
def test_whatever_a_build_is_sent_from_elsewhere_reaches_its_app(plant: Plant, file: str, reason: str | None) -> None:
    root = plant(_NET)
    apps = found_in(root)

    found = affected(root, apps, Changes(since="main", files=(file,)), sources.told(root, langs.build))

    assert found == ({} if reason is None else {"net/src/Web": reason})


@pytest.mark.parametrize("example", sorted(path.name for path in _EXAMPLES.glob("*workspace*")))
def test_no_file_that_an_images_inputs_are_told_by_is_missed(example: str) -> None:
    root = _EXAMPLES / f"{example}/app"
    missed: list[tuple[str, str]] = []
    apps = found_in(root)
    told = sources.told(root, langs.build)

    for each in apps:
        built = langs.build(each.directory, each.settings, within=root, detection=each.detection)
        context = (each.directory / built.context).resolve()
        with Context(context, built.dockerignore or "") as sent:
            files = [(context / path).relative_to(root).as_posix() for path, entry in sent.entries() if is_file(entry)]
        missed += [
            (each.path, file)
            for file in files
            if each.path not in affected(root, apps, Changes(since="main", files=(file,)), told)
        ]

    assert apps
    assert not missed


def test_the_change_that_makes_a_build_impossible_reaches_the_app_and_no_other_change_does(plant: Plant) -> None:
    root = plant(_NET | {"net/src/Core/Core.csproj": "<Project"})
    web = App(
        name="web",
        path="net/src/Web",
        directory=root / "net/src/Web",
        detection=Detection(language="dotnet", evidence=()),
        settings=Settings(language="dotnet"),
    )
    told = sources.told(root, langs.build)

    broken = affected(root, [web], Changes(since="main", files=("net/src/Web/Web.csproj",)), told)
    other = affected(root, [web], Changes(since="main", files=("net/eng/README.md",)), told)

    assert broken.keys() == {"net/src/Web"}
    assert other == {}


def test_an_app_at_the_root_holds_everything() -> None:
    apps = (app("."), app("web"))

    assert reached("docs/x", apps=apps) == {".": "changed since main: docs/x"}
    assert reached("web/x", apps=apps).keys() == {".", "web"}


def test_a_service_is_its_context_its_compose_file_and_the_dockerfile_elsewhere() -> None:
    service = Service(name="api", file="compose.yaml", context="../src/api", dockerfile="../../docker/api.Dockerfile")
    of_compose = App(
        name="api",
        path="deploy/compose.yaml#api",
        directory=_ROOT / "src/api",
        detection=Detection(language="compose", evidence=()),
        settings=Settings(service=service),
    )
    files = (
        "src/api/x",
        "deploy/compose.yaml",
        "deploy/.env",
        "deploy/fleetpacks.toml",
        "docker/api.Dockerfile",
        "docker/api.Dockerfile.dockerignore",
    )

    for file in files:
        assert reached(file, apps=(of_compose,)) == {of_compose.path: f"changed since main: {file}"}
    for file in ("src/x", "deploy/x", "docker/x", "deploy/compose.yaml#api"):
        assert reached(file, apps=(of_compose,)) == {}


@pytest.mark.parametrize(
    ("file", "directories"),
    [
        ("package.json", ["."]),
        ("a/b/yarn.lock", ["a/b"]),
        ("a/All.sln", ["a"]),
        ("gradle/libs.versions.toml", ["."]),
        ("a/gradle/wrapper/gradle-wrapper.properties", ["a"]),
        (".mvn/jvm.config", ["."]),
        ("a/.yarn/releases/yarn.cjs", ["a"]),
        ("project/plugins.sbt", ["."]),
        ("a/project/build.properties", ["a"]),
        ("project/api/main.go", []),
        ("README.md", []),
        ("src/main.go", []),
    ],
)
def test_what_says_something_of_what_is_below(file: str, directories: list[str]) -> None:
    assert [directory for directory, _ in governing([file])] == directories


def test_every_languages_manifests_count_above_an_app_but_recipes_and_entry_points() -> None:
    recipes = {*dockerfile.MANIFESTS, *compose.MANIFESTS}
    of_one_app = {"Staticfile", "artisan"}

    for language in LANGUAGES:
        for name in MANIFESTS[language.NAME]:
            assert name in NAMES | recipes | of_one_app or name.startswith("*."), (language.NAME, name)


_PATHS = st.lists(st.sampled_from(["a", "b", "libs", "go.mod", "x.py"]), min_size=1, max_size=4).map("/".join)


@given(st.sets(_PATHS, max_size=6), st.sets(_PATHS, max_size=6))
def test_more_changes_never_reach_fewer_apps(some: set[str], more: set[str]) -> None:
    apps = (app("a/b", packages=("libs",)), app("a"), app("b/x", depends_on=("a",)))

    assert reached(*some, apps=apps).keys() <= reached(*some, *more, apps=apps).keys()
