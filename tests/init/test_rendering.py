"""Whatever a value is, the file's reader gets that value, and nothing besides."""

import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.init import operatorfile, rendering
from orchestrator.init.github import workflow
from orchestrator.init.gitlab import pipeline
from orchestrator.init.project import Builder, File, cache_beside, files_needed, fixed, label, registry_of
from orchestrator.init.rendering import render
from orchestrator.init.writing import write
from tests.init.projects import full, project

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_VALUE = st.one_of(
    _TEXT,
    st.sampled_from(["on", "no", "NULL", "~", "1e3", "0o17", "0x1f", "1_0", "- a", "a: b", "&a", "*a", "!!int 1"]),
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("templates")
    (folder / "yaml").write_text(
        "a: {[ value ]}\nb: [{[ value ]}, x]\nc: {[ value | block(2) ]}\n# {[ value | comment ]}\nd: 1\n"
    )
    (folder / "shell").write_text("a={[ value ]}\n# {[ value | comment ]}\nb=1\n")
    return folder


@given(value=_VALUE)
def test_a_value_in_yaml_is_read_as_it_is(template: Path, value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "_TEMPLATES", template)

        for target in ("github", "kubernetes"):
            try:
                text = render(target, "yaml", value=value)
            except UsageError:
                assert "${{" in value or "$(" in value
                continue
            read = yaml.safe_load(text)

            assert (read["a"], read["b"], read["d"]) == (value, [value, "x"], 1)
            # A block ends with a line's end.
            assert read["c"].removesuffix("\n") == value.removesuffix("\n")


@given(value=_VALUE)
def test_a_value_in_a_script_is_one_word(template: Path, value: str) -> None:
    value = value.replace("\0", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "_TEMPLATES", template)

        text = render("runner", "shell", value=value)

    assert shlex.split(text.replace("\n# ", "\n#"), comments=True) == [f"a={value}", "b=1"]


@pytest.mark.parametrize(
    ("target", "value"),
    [("github", "a${{ secrets.X }}"), ("gitlab", "$HOME"), ("kubernetes", "$(HOME)"), ("shipwright", "$(params.x)")],
)
def test_what_a_platform_would_replace_is_refused(target: str, value: str, template: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "_TEMPLATES", template)

        with pytest.raises(UsageError, match="read as something else"):
            render(target, "yaml", value=value)  # type: ignore[arg-type]  # one of the targets


@given(image=_TEXT, url=_TEXT, cache=_TEXT, host=_TEXT)
def test_an_operators_file_says_what_was_said_and_holds_no_expression(
    image: str, url: str, cache: str, host: str
) -> None:
    said = project(image=image, cache_from=(cache,), insecure=(host,))

    text = operatorfile.text(said, builders=[Builder(url=url, slots=3)], cache=cache)

    read = tomllib.loads(text)
    assert "$" not in text
    assert read["image"] == image
    assert read["hosts"] == [{"url": url, "slots": 3}]
    assert read["cache"] == {"image": cache, "from": [cache]}
    assert read["registries"] == {host: {"insecure": True}}


def test_an_operators_file_is_read_by_the_loader(tmp_path: Path) -> None:
    from orchestrator.config import load  # noqa: PLC0415 -- only here

    said = full()
    file = tmp_path / "config.toml"
    file.write_text(
        operatorfile.text(said, builders=said.builders, cache=said.cache, local=said.local, mounts=said.mounts)
    )
    (tmp_path / "source").mkdir()

    config = load(tmp_path / "source", {"HOME": str(tmp_path), "FLEETPACKS_CONFIG": str(file)})

    assert config.image is not None
    assert config.image.template == said.image
    assert [(host.url, host.slots, host.memory) for host in config.hosts] == [
        (each.url, each.slots, each.memory) for each in said.builders
    ]
    assert (config.cache.image, config.cache.sources) == (said.cache, said.cache_from)
    assert (config.cache.local.size, config.cache.mounts.size) == (said.local_size, said.mounts_size)
    assert {name: source.env for name, source in config.secrets.items()} == {name: name for name in said.secrets}
    assert [(each.url, each.env) for each in config.mirrors.values()] == [
        ("https://mirror.example/npm", None),
        (None, "PYPI_URL"),
        (None, "GO_MIRROR"),
    ]
    assert {host: (each.insecure, each.mirror) for host, each in config.registries.items()} == {
        "docker.io": (False, "mirror.example/hub"),
        "registry.example:5000": (True, None),
    }
    assert (config.jobs, config.hedge, set(config.ssh)) == (12, 3.0, {"default"})
    assert config.entitlements == said.entitlements


@pytest.mark.parametrize(
    ("image", "parts", "host"),
    [
        ("registry.example:5000/shop/{app}:{sha}", "registry.example:5000/shop", "registry.example:5000"),
        ("ghcr.io/o/r", "ghcr.io/o/r", "ghcr.io"),
        ("ghcr.io/{branch}/x-{app}", "ghcr.io", "ghcr.io"),
    ],
)
def test_the_parts_of_an_image_that_all_apps_share(image: str, parts: str, host: str) -> None:
    assert (fixed(image), cache_beside(image), registry_of(image)) == (parts, f"{parts}/cache", host)


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("unix:///run/b.sock", True),
        ("docker:///run/d.sock", True),
        ("tcp://127.0.0.1:1234", True),
        ("tcp://localhost:1234", True),
        ("docker://[::1]:2375", True),
        ("ssh://deploy@localhost?slots=2", True),
        ("tcp://b.example:1234", False),
        ("tcp://10.0.0.1:1234", False),
        ("ssh://deploy@b.example", False),
    ],
)
def test_an_address_that_each_machine_has_for_itself_is_here(url: str, *, is_here: bool) -> None:
    assert Builder(url=url).is_here is is_here


def test_files_that_an_address_names_are_asked_for() -> None:
    tls = Builder(url="tcp://b.example:1234?cacert=/tls/ca.pem&cert=/tls/c.pem&key=/tls/k.pem&servername=b")
    without = (Builder(url="tcp://b.example:1234?servername=b"), Builder(url="ssh://b.example?slots=2"))

    assert files_needed((tls, *without)) == (
        "put these files where jobs run, as tcp://b.example:1234 needs them: /tls/ca.pem, /tls/c.pem, /tls/k.pem",
    )
    for made in (workflow(project(builders=(tls,)), runner="hosted"), pipeline(project(builders=(tls,)))):
        assert any("/tls/k.pem" in warning for warning in made.warnings)


@given(st.text(max_size=200))
def test_a_name_in_a_cluster_is_one(text: str) -> None:
    found = label(text)

    assert found
    assert len(found) <= 40
    assert found.replace("-", "a").isalnum()
    assert found.isascii()
    assert found[0] != "-" != found[-1]


def test_a_file_that_differs_is_kept_and_then_nothing_is_written(tmp_path: Path) -> None:
    files = (File(path="new", text="n\n"), File(path="there/old", text="b\n"))
    (tmp_path / "there").mkdir()
    (tmp_path / "there/old").write_text("a\n")

    with pytest.raises(UsageError, match="differs"):
        write(files, tmp_path, force=False)
    assert not (tmp_path / "new").exists()
    written = write(files, tmp_path, force=True)
    again = write(files, tmp_path, force=False)

    assert [each.state for each in written] == ["written", "replaced"]
    assert [each.state for each in again] == ["unchanged", "unchanged"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "there"]


def test_a_link_leads_nowhere_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / "deploy").symlink_to(outside)
    (root / "file").symlink_to(outside / "file")

    with pytest.raises(UsageError, match="leads out of"):
        write((File(path="deploy/x", text=""),), root, force=True)
    write((File(path="file", text="new"),), root, force=True)

    assert list(outside.iterdir()) == []
    assert (root / "file").read_text() == "new"
