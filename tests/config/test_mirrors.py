"""Mirrors of registries: what operators write, and what is made of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import Config, load, mirrors
from orchestrator.errors import ConfigError
from orchestrator.model import Registry
from orchestrator.registry.mirrors import at_mirror
from orchestrator.registry.reference import parse


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


def _load(root: Path, text: str, variables: dict[str, str] | None = None) -> Config:
    file = root.parent / "operator.toml"
    file.write_text(text)
    return load(root, {"FLEETPACKS_CONFIG": str(file), **(variables or {})})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mirror.example", "mirror.example"),
        ("Mirror.Example/hub/", "mirror.example/hub"),
        ("mirror:5000/a/b-c", "mirror:5000/a/b-c"),
        ("localhost/hub", "localhost/hub"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("[::1]:5000/hub", "[::1]:5000/hub"),
        ("mirror/hub", None),
        ("mirror", None),
        ("me:secret@mirror.example", None),
        ("mirror.example/Hub", None),
        ("mirror.example//hub", None),
        ("mirror.example/hub:1", None),
        ("mirror.example/a b", None),
        ("localhosts/hub", None),
        ("", None),
    ],
)
def test_a_mirror_is_a_registry_perhaps_with_a_path(text: str, expected: str | None) -> None:
    assert mirrors.place(text) == expected


@given(st.text(alphabet="aA.:/-_[]@1 h\n", max_size=24))
def test_what_is_a_mirror_makes_names_of_images_there(text: str) -> None:
    found = mirrors.place(text)

    if found is not None and not found.rpartition(":")[2].split("/")[0].isdigit():
        at = at_mirror(parse("node:22"), {"docker.io": found})
        assert at is not None
        assert str(at) == f"{found}/library/node:22"


def test_variables_and_the_operators_file_name_mirrors_and_variables_count(root: Path) -> None:
    config = _load(
        root,
        '[registries."docker.io"]\nmirror = "file.example/hub"\n[registries."ghcr.io"]\nmirror = "file.example/ghcr"\n',
        {"REGISTRY_MIRROR": "https://mirror.example/hub/", "DHI_MIRROR": "mirror.example/dhi"},
    )

    assert config.image_mirrors == {
        "docker.io": "mirror.example/hub",
        "ghcr.io": "file.example/ghcr",
        "dhi.io": "mirror.example/dhi",
    }


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (("index.docker.io",), {"docker.io": "m0.example"}),
        (("registry-1.docker.io",), {"docker.io": "m0.example"}),
        (("GHCR.io", "Docker.IO"), {"ghcr.io": "m0.example", "docker.io": "m1.example"}),
        (("docker.io", "index.docker.io"), {"docker.io": "m0.example"}),
    ],
)
def test_a_registry_has_its_mirror_whichever_of_its_names_is_written(
    root: Path, hosts: tuple[str, ...], expected: dict[str, str]
) -> None:
    tables = [f'[registries."{host}"]\nmirror = "m{number}.example"\n' for number, host in enumerate(hosts)]

    assert _load(root, "".join(tables)).image_mirrors == expected


def test_a_mirror_at_a_url_of_http_speaks_plain_http_unless_the_operator_has_said_something(root: Path) -> None:
    said = '[registries."b.example"]\ninsecure = false\n'

    config = _load(root, said, {"REGISTRY_MIRROR": "http://a.example:5000/hub", "DHI_MIRROR": "http://b.example/dhi"})

    assert config.registries["a.example:5000"] == Registry(host="a.example:5000", insecure=True)
    assert not config.registries["b.example"].insecure


@pytest.mark.parametrize("name", ["REGISTRY_MIRROR", "DHI_MIRROR"])
def test_a_variable_that_names_no_registry_is_an_error_which_does_not_show_it(root: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^\${name}: expected a registry") as caught:
        _load(root, "", {name: "https://me:hunter2@mirror.example"})

    assert "hunter2" not in caught.value.message + caught.value.hint


def test_a_file_that_names_none_is_an_error_with_its_line(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"operator.toml:2: registries\..*mirror: expected host"):
        _load(root, '[registries."docker.io"]\nmirror = "https://mirror.example"\n')
