"""The script: shellcheck has nothing to say, and it does what it says below a directory."""

import json
import secrets
import shutil
import sys
import tomllib
from pathlib import Path

import anyio
import pytest

from orchestrator.config import environment
from orchestrator.init.project import Builder, Project
from orchestrator.init.runner import script
from tests.conftest import RealCount
from tests.init.projects import NASTY, full, project
from tests.lab import Lab

SHELLCHECK = Path(sys.executable).with_name("shellcheck")


def written(made: Project, folder: Path) -> Path:
    [file] = script(made).files
    path = folder / file.path
    path.write_text(file.text)
    path.chmod(file.mode)
    return path


async def ran(path: Path, *words: str, **variables: str) -> tuple[int, str]:
    clean = {
        "PATH": f"{Path(sys.executable).parent}:{environment.read()['PATH']}",
        "HOME": str(path.parent),
        **variables,
    }
    done = await anyio.run_process(["sh", "-c", 'exec 2>&1; exec "$0" "$@"', str(path), *words], env=clean, check=False)
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("made", [project(), full(), full(bases=(NASTY,), hub=NASTY, package=NASTY, name=NASTY)])
async def test_shellcheck_has_nothing_to_say(made: Project, tmp_path: Path) -> None:
    path = written(made, tmp_path)

    # A $ within quotes may be meant as it stands, and is here.
    words = [str(SHELLCHECK), "--severity=style", *(["--exclude=SC2016"] if NASTY in made.bases else []), str(path)]
    checked = await anyio.run_process(words, check=False)
    wrong = await anyio.run_process([str(SHELLCHECK), "-"], input=b"#!/bin/sh\necho $1\n", check=False)

    assert (checked.returncode, checked.stdout.decode()) == (0, "")
    assert wrong.returncode == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_files_are_made_once_kept_when_they_differ_and_replaced_when_that_is_said(tmp_path: Path) -> None:
    path = written(full(bases=()), tmp_path)
    root = tmp_path / "root"
    unit = root / "etc/systemd/system/fleetpacks-prune.timer"

    first = await ran(path, "--root", str(root))
    again = await ran(path, "--root", str(root))
    unit.write_text("# mine\n")
    kept = await ran(path, "--root", str(root))
    forced = await ran(path, "--root", str(root), "--force")

    assert first[0] == 0, first[1]
    assert f"wrote {unit}" in first[1]
    # As systemd would have enabled them; relative, for the directory becomes another machine's root.
    for link in ("timers.target.wants/fleetpacks-prune.timer", "multi-user.target.wants/fleetpacks-warm.service"):
        assert (unit.parent / link).readlink() == Path("..") / Path(link).name
    assert again == (0, "")
    assert kept == (0, f"kept {unit}, which differs: compare, or say --force\n")
    assert forced == (0, f"wrote {unit}\n")
    assert "OnCalendar=*-*-* 03:30:00" in unit.read_text()
    assert "--older-than 168h" in unit.with_suffix(".service").read_text()
    assert sorted(each.name for each in (root / "var/cache/fleetpacks").iterdir()) == ["cache", "packages", "state"]
    assert 'mirrors = ["mirror.example/hub"]' in (root / "etc/buildkit/buildkitd.toml").read_text()
    assert 'BUILDKIT_HOST="unix:///run/buildkit/buildkitd.sock"' in (root / "etc/fleetpacks/runner.env").read_text()
    assert list(root.rglob(".fleetpacks-*")) == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("insecure", "scheme", "http"), [(("mirror.example:5000",), "http", True), ((), "https", False)]
)
async def test_daemons_and_runs_speak_with_a_mirror_as_it_was_said(
    tmp_path: Path, insecure: tuple[str, ...], scheme: str, *, http: bool
) -> None:
    made = full(bases=(), hub="mirror.example:5000", dhi="mirror.example:5000/dhi", insecure=insecure)
    path, root, programs = written(made, tmp_path), tmp_path / "root", tmp_path / "bin"
    programs.mkdir()
    (programs / "dockerd").touch(mode=0o755)

    code, said = await ran(path, "--root", str(root), PATH=f"{programs}:{environment.read()['PATH']}")

    assert code == 0, said
    daemon = json.loads((root / "etc/docker/daemon.json").read_text())
    registry = tomllib.loads((root / "etc/buildkit/buildkitd.toml").read_text())["registry"]
    assert daemon == {"registry-mirrors": [f"{scheme}://mirror.example:5000"]}
    assert registry["docker.io"] == {"mirrors": ["mirror.example:5000"]}
    assert ("mirror.example:5000" in registry) is http
    lines = (root / "etc/fleetpacks/runner.env").read_text().splitlines()
    assert f'REGISTRY_MIRROR="{scheme}://mirror.example:5000"' in lines
    assert f'DHI_MIRROR="{"http://" if http else ""}mirror.example:5000/dhi"' in lines


def test_the_services_program_is_the_one_that_is_installed(tmp_path: Path) -> None:
    text = written(full(), tmp_path).read_text()

    called = {line.partition("=")[2].split()[0] for line in text.splitlines() if line.startswith("ExecStart=")}
    assert called == {"/usr/local/bin/fleetpacks"}
    assert "if [[ -x /usr/local/bin/fleetpacks && -z $force ]]; then return; fi" in text
    assert "command -v fleetpacks" not in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd's own checker is not installed")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_systemds_own_checker_has_nothing_to_say(tmp_path: Path) -> None:
    await ran(written(full(bases=()), tmp_path), "--root", str(tmp_path))
    folder = tmp_path / "etc/systemd/system"
    units = sorted(folder.glob("fleetpacks-*"))
    for unit in units:
        # Nothing is installed below a directory.
        unit.write_text(unit.read_text().replace("/usr/local/bin/fleetpacks", sys.executable))

    checked = await anyio.run_process(["systemd-analyze", "verify", "--man=no", *map(str, units)], check=False)
    units[0].write_text(units[0].read_text().replace("Type=oneshot", "Typ=oneshot"))
    wrong = await anyio.run_process(["systemd-analyze", "verify", "--man=no", str(units[0])], check=False)

    assert [unit.name for unit in units] == [
        *("fleetpacks-prune.service", "fleetpacks-prune.timer", "fleetpacks-warm.service"),
    ]
    assert (checked.returncode, checked.stderr.decode()) == (0, "")
    assert "Typ" in wrong.stderr.decode()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_word_that_is_none_is_told(tmp_path: Path) -> None:
    path = written(project(), tmp_path)

    code, said = await ran(path, "--rot")

    assert code == 2
    assert said.startswith("usage: ")


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_base_images_are_pulled_by_a_real_builder_when_the_machine_starts_and_not_before(
    lab: Lab, tmp_path: Path, real_count: RealCount
) -> None:
    here = Builder(url=lab.buildkit_host)
    missing = f"{lab.registry}/missing-{secrets.token_hex(4)}:1"
    path = written(project(builders=(here,), bases=("debian:bookworm-slim", missing)), tmp_path)

    root = tmp_path / "root"
    code, said = await ran(path, "--root", str(root))
    unit = (root / "etc/systemd/system/fleetpacks-warm.service").read_text()
    [command] = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart=")]
    words = [word.replace("/usr/local/share", f"{root}/usr/local/share") for word in command.split()[1:]]
    lines = (root / "etc/fleetpacks/runner.env").read_text().splitlines()
    own = {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}
    program = Path(sys.executable).with_name("fleetpacks")
    pulled = await ran(program, *words, **{**own, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")})

    real_count.record("answer")
    assert code == 0, said
    assert "base images" not in said
    assert "1 of 2 base images are there" in pulled[1]
    listed = root / "usr/local/share/fleetpacks/warm"
    assert sorted(each.name for each in listed.iterdir()) == ["image-1", "image-2"]
