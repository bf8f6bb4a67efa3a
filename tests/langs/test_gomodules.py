"""Modules beside an app of Go: of a workspace, or in directories that `replace` names."""

from collections.abc import Mapping
from pathlib import Path

import pytest

import langs
from langs.errors import LangError
from langs.model import AppBuild, Settings
from tests.langs.conftest import Write

MAIN = 'package main\n\nimport "example.com/ui/forms"\n\nfunc main() { forms.Show() }\n'
PLAIN = Settings()


def module(name: str, *more: str) -> str:
    return "\n".join((f"module example.com/{name}", "", "go 1.25.0", *more, ""))


def monorepo(write: Write, more: Mapping[str, str]) -> Path:
    return write(
        {
            "go.work": "go 1.25.0\nuse (\n\t./web\n\t./api\n\t./ui\n\t./words\n\t./unused\n)\n",
            "go.work.sum": "",
            "web/go.mod": module("web"),
            "web/main.go": MAIN,
            "api/go.mod": module("api"),
            "api/main.go": MAIN.replace("ui/forms", "words"),
            "ui/go.mod": module("ui"),
            "ui/forms/forms.go": 'package forms\n\nimport (\n\t"fmt"\n\tw "example.com/words"\n)\n',
            "words/go.mod": module("words"),
            "words/words_test.go": 'package words\n\nimport "example.com/unused"\n',
            "unused/go.mod": module("unused"),
            **more,
        }
    )


def built(root: Path, path: str = "web") -> AppBuild:
    return langs.build(root / path, PLAIN, within=root)


def packages(root: Path, path: str = "web") -> tuple[str, ...]:
    detection = langs.detect(root / path, PLAIN, within=root)
    assert detection is not None
    assert detection.is_app
    return detection.packages


def allowed(app: AppBuild) -> set[str]:
    return {line[1:] for line in (app.dockerignore or "").splitlines() if line.startswith("!")}


def test_what_a_module_of_a_workspace_imports_comes_with_it_and_of_others_their_manifests(write: Write) -> None:
    root = monorepo(write, {})

    app = built(root)

    assert packages(root) == ("ui", "words")
    assert app.context == ".."
    manifests = {f"{name}/go.mod" for name in ("api", "ui", "unused", "web", "words")}
    assert allowed(app) == {"web", "ui", "words", "go.work", "go.work.sum", *manifests}


def test_apps_of_one_workspace_have_the_download_in_common(write: Write) -> None:
    root = monorepo(write, {})

    web, api = (built(root, path).dockerfile.partition("COPY . .")[0] for path in ("web", "api"))

    assert web == api
    assert "go mod download" in web


def test_what_a_module_requires_and_imports_nowhere_near_comes_with_it(write: Write) -> None:
    root = monorepo(write, {"web/go.mod": module("web", "require example.com/unused v0.0.0")})

    assert packages(root) == ("ui", "unused", "words")


def test_an_app_that_needs_nobody_is_built_alone(write: Write) -> None:
    root = monorepo(write, {"web/main.go": "package main\n\nfunc main() {}\n"})

    assert packages(root) == ()
    assert built(root).context == "."


def test_the_nearest_workspace_that_uses_the_app_counts(write: Write) -> None:
    root = monorepo(write, {"go.work": "go 1.25.0\nuse ./api\nuse ./ui\n"})

    assert packages(root) == ()


def test_a_replacement_in_a_directory_is_part_of_the_build_without_a_workspace(write: Write) -> None:
    files = {
        "services/web/go.mod": module("web", "replace example.com/ui => ../../libs/ui"),
        "services/web/main.go": MAIN,
        "services/web/static/a.css": "",
        "libs/ui/go.mod": module("ui"),
        "libs/ui/go.sum": "",
    }
    root = write(files)

    app = built(root, "services/web")

    assert packages(root, "services/web") == ("libs/ui",)
    assert app.context == "../.."
    assert allowed(app) == {"services/web", "libs/ui", "services/web/go.mod", "libs/ui/go.mod", "libs/ui/go.sum"}
    before = app.dockerfile.partition("go mod download")[0]
    assert before.index("COPY libs/ui/go.mod libs/ui/go.sum ./libs/ui/") < before.index("WORKDIR /app/services/web")
    assert "COPY --chown=1000:1000 services/web/static ./static" in app.dockerfile


def test_a_replacement_out_of_the_repository_is_refused(write: Write) -> None:
    root = write({"web/go.mod": module("web", "replace example.com/ui => ../../ui"), "web/main.go": MAIN})

    with pytest.raises(LangError, match="outside of the app's directory and of the repository"):
        built(root)


def test_what_leaves_the_repository_by_a_link_is_nobodys_module(write: Write, tmp_path: Path) -> None:
    root = monorepo(write, {})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "go.mod").write_text(module("ui"))
    (root / "ui" / "go.mod").unlink()
    (root / "ui" / "go.mod").symlink_to(outside / "go.mod")

    assert packages(root) == ()


def test_a_module_at_the_root_is_let_in_without_the_modules_below_it(write: Write) -> None:
    root = monorepo(
        write,
        {
            "go.work": "go 1.25.0\nuse (\n\t.\n\t./web\n\t./unused\n)\n",
            "go.mod": module("ui"),
            "forms/forms.go": "package forms\n",
        },
    )

    lines = (built(root).dockerignore or "").splitlines()

    assert packages(root) == (".",)
    assert "*" not in lines
    assert "unused" in lines
    assert "web" not in lines


def test_a_front_end_in_an_app_of_a_workspace_is_built_from_its_directory(write: Write) -> None:
    front_end = {"web/package.json": '{"scripts": {"build": "tsc"}}', "web/package-lock.json": "{}"}
    root = monorepo(write, front_end)

    app = built(root)

    text = app.dockerfile
    assert app.context == ".."
    assert "COPY web/package.json web/package-lock.json ./\n" in text.partition("AS builder")[0]
    assert text.index("COPY web ./\n") < text.index("AS builder")
    assert text.index("COPY . .\n") < text.index("COPY --from=assets /app/ ./web/\nWORKDIR /app/web\n")


def test_a_front_end_of_a_workspace_is_built_from_its_root_for_an_app_that_is_alone(write: Write) -> None:
    root = write(
        {
            "package.json": '{"workspaces": ["web", "ui"]}',
            "package-lock.json": "{}",
            "ui/package.json": '{"name": "ui"}',
            "web/package.json": '{"name": "web", "scripts": {"build": "tsc"}, "dependencies": {"ui": "*"}}',
            "web/go.mod": module("web"),
            "web/main.go": "package main\n\nfunc main() {}\n",
        }
    )

    app = built(root)

    assert (app.language, app.context) == ("go", "..")
    assert {"web", "ui", "package-lock.json"} <= allowed(app)
    front_end, _, own = app.dockerfile.partition("AS builder")
    assert "COPY web/package.json ./web/\n" in front_end
    assert "COPY web/go.mod ./\n" in own
    assert "COPY web ./\nCOPY --from=assets /app/web/ ./\n" in own


def test_an_app_and_its_front_end_in_two_workspaces_are_an_error(write: Write) -> None:
    front_end = {
        "package.json": '{"workspaces": ["web"]}',
        "web/package.json": '{"name": "web", "scripts": {"build": "tsc"}}',
    }
    root = monorepo(write, front_end)

    with pytest.raises(LangError, match="members of two workspaces"):
        built(root)


def programs(write: Write, more: Mapping[str, str] = {}) -> Path:
    return write(
        {
            "tools/go.mod": module("tools"),
            "tools/go.sum": "",
            "tools/templates/a.html": "",
            "tools/cmd/api/main.go": MAIN,
            "tools/cmd/worker/main.go": "package main\n\nfunc main() {}\n",
            "tools/internal/words/words.go": "package words\n",
            **more,
        }
    )


def test_each_program_of_a_module_can_be_an_app_that_is_built_from_the_module(write: Write) -> None:
    root = programs(write)

    detection = langs.detect(root / "tools/cmd/api", PLAIN, within=root)
    app = built(root, "tools/cmd/api")

    assert detection is not None
    assert (detection.is_app, detection.packages) == (False, ("tools",))
    assert (app.context, app.start_command, app.package_manager) == ("../..", "api", "go")
    assert "COPY go.mod go.sum ./\n" in app.dockerfile
    assert "-o /out/bin/api ./cmd/api\n" in app.dockerfile
    assert "COPY --chown=1000:1000 templates ./templates\n" in app.dockerfile
    lines = (app.dockerignore or "").splitlines()
    assert "*" not in lines
    assert "cmd/worker" in lines


def test_programs_of_one_module_have_the_download_in_common(write: Write) -> None:
    root = programs(write)

    api, worker = (built(root, f"tools/cmd/{name}").dockerfile.partition("COPY . .")[0] for name in ("api", "worker"))

    assert api == worker
    assert "go mod download" in api


def test_what_a_program_shares_with_another_stays_with_it(write: Write) -> None:
    shared = {
        "tools/cmd/api/main.go": MAIN.replace("ui/forms", "tools/cmd/worker/queues"),
        "tools/cmd/worker/queues/queues.go": "package queues\n",
    }
    root = programs(write, shared)

    assert "cmd/worker" not in (built(root, "tools/cmd/api").dockerignore or "").splitlines()


def test_a_program_of_a_module_in_a_workspace_is_built_from_the_workspace(write: Write) -> None:
    root = monorepo(write, {"web/cmd/admin/main.go": MAIN})
    (root / "web/main.go").unlink()

    app = built(root, "web/cmd/admin")

    assert app.context == "../../.."
    assert {"web", "web/cmd/admin", "ui", "words", "go.work"} <= allowed(app)
    assert "WORKDIR /app/web\n" in app.dockerfile
    assert "-o /out/bin/admin ./cmd/admin\n" in app.dockerfile


def test_the_modules_dockerignore_holds_for_its_programs(write: Write) -> None:
    root = programs(write, {"tools/.dockerignore": "docs\n", "tools/docs/a.md": ""})

    assert (built(root, "tools/cmd/api").dockerignore or "").splitlines()[-1] == "docs"


def test_a_programs_own_start_command_names_it(write: Write) -> None:
    root = programs(write, {"tools/cmd/api/Procfile": "web: bin/server --listen :$PORT\n"})

    app = built(root, "tools/cmd/api")

    assert app.start_command == "bin/server --listen :$PORT"
    assert "-o /out/bin/server ./cmd/api\n" in app.dockerfile


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, ("cmd/api", "cmd/worker")),
        ({"tools/Procfile": "web: api\n"}, ()),
        ({"tools/main.go": "package main\n\nfunc main() {}\n"}, ()),
        ({"tools/cmd/worker/main.go": "package worker\n"}, ()),
    ],
)
def test_a_module_says_which_programs_it_has_where_nothing_says_which_it_is(
    write: Write, more: Mapping[str, str], expected: tuple[str, ...]
) -> None:
    detection = langs.detect(programs(write, more) / "tools", PLAIN)

    assert detection is not None
    assert detection.programs == expected


def test_what_is_no_program_in_a_module_is_told_so(write: Write) -> None:
    root = programs(write)

    with pytest.raises(LangError, match="no package main was found here"):
        built(root, "tools/internal/words")


def test_the_hint_names_the_directories_of_programs_from_the_root(write: Write) -> None:
    root = programs(write)

    with pytest.raises(LangError, match="several main packages were found") as raised:
        built(root, "tools")

    assert 'by their paths from there: [apps."tools/cmd/api"], [apps."tools/cmd/worker"].' in raised.value.hint
