"""The operator's file: where it is found, and what it may say."""

from pathlib import Path

import pytest

from langs.facts import VERSION_VARIABLES
from orchestrator.config import Config, environment, load, operator
from orchestrator.errors import ConfigError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    return root


def _load(root: Path, tmp_path: Path, text: str) -> Config:
    file = tmp_path / "operator.toml"
    file.write_text(text)
    return load(root, {"FLEETPACKS_CONFIG": str(file)})


def test_everything_the_operator_says_arrives(root: Path, tmp_path: Path) -> None:
    config = _load(
        root,
        tmp_path,
        """
        image = "registry.example/team/{app}"
        jobs = 3
        entitlements = ["network.host", "network.host"]
        [[hosts]]
        url = "unix:///run/other.sock"
        slots = 8
        memory = "8GB"
        [registries."registry.example:5000"]
        insecure = true
        [secrets]
        NPM_TOKEN = { env = "CI_NPM_TOKEN" }
        PIP_TOKEN = { file = "/run/secrets/pip" }
        """,
    )

    assert config.image is not None
    assert (config.image.template, config.image.given) == ("registry.example/team/{app}", True)
    assert config.image.source == f"{tmp_path}/operator.toml: image"
    assert config.jobs == 3
    assert config.entitlements == ("network.host",)
    [host] = config.hosts
    assert (host.url, host.slots, host.memory) == ("unix:///run/other.sock", 8, 8_000_000_000)
    assert config.registries["registry.example:5000"].insecure
    assert config.secrets["NPM_TOKEN"].env == "CI_NPM_TOKEN"
    assert config.secrets["PIP_TOKEN"].file == Path("/run/secrets/pip")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("entitlements = ['root']\n", "operator.toml:1: entitlements[0]: ", "Change"),
        ("[[hosts]]\nslots=1\n", "operator.toml:1: hosts[0]: 'url' is missing", "Add url"),
        ("[[hosts]]\nurl='a'\nslots=0\n", "operator.toml:3: hosts[0].slots: expected an integer >= 1", "Change"),
        ("[[hosts]]\nurl='a'\nmemory='much'\n", "operator.toml:3: hosts[0].memory: expected a size", "8GB"),
        ("[registries.'http://x']\n", 'operator.toml:1: registries."http://x": expected host[:port]', "registries."),
        ("[ssh.a]\nsocket = 'x'\n", "operator.toml:2: ssh.a.socket: expected an absolute path", "/"),
        ("[ssh.'a b']\n", 'operator.toml:1: ssh."a b": expected the id of an agent', "[ssh.default]"),
        ("[ssh]\na = '/run/agent'\n", "operator.toml:2: ssh.a: expected a table", ""),
        ("[secrets]\nA = {}\n", "operator.toml:2: secrets.A: expected either env or file", 'env = "A"'),
        ("[secrets]\nA = {env='A',file='/a'}\n", "operator.toml:2: secrets.A: expected either", "env"),
        ("[secrets]\nA = {file='a'}\n", "operator.toml:2: secrets.A.file: expected an absolute path", "/"),
        ("[secrets]\n'A B' = {env='A'}\n", 'operator.toml:2: secrets."A B": expected an identifier', "Letters"),
        ("imag = 'x'\n", "operator.toml:1: imag: unknown key", "'image'"),
        ("[apps.a]\nrun='x'\n", "operator.toml:1: apps: unknown key", "the repository's to say"),
        ("[[hosts]]\nport='x'\n", "operator.toml:2: hosts[0].port: unknown key", "here: drain, memory, slots, url."),
    ],
)
def test_a_mistake_is_named_by_file_line_and_key(
    root: Path, tmp_path: Path, text: str, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        _load(root, tmp_path, text)

    assert caught.value.message.removeprefix(f"{tmp_path}/").startswith(message)
    assert hint in caught.value.hint


def test_the_first_file_that_exists_counts_alone(root: Path, tmp_path: Path) -> None:
    system = tmp_path / "etc.toml"
    system.write_text('image = "system.example/x"\njobs = 7\n')
    home = tmp_path / "home"
    variables = {"HOME": str(home)}

    before = operator.read(environment.parse(variables, version_variables=VERSION_VARIABLES), root, system=system)
    (home / ".config/fleetpacks").mkdir(parents=True)
    (home / ".config/fleetpacks/config.toml").write_text('image = "user.example/x"\n')
    after = operator.read(environment.parse(variables, version_variables=VERSION_VARIABLES), root, system=system)

    assert before is not None
    assert (before[0].image, before[0].jobs) == ("system.example/x", 7)
    assert after is not None
    assert (after[0].image, after[0].jobs) == ("user.example/x", None)


def test_a_named_file_that_is_missing_is_an_error(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\$FLEETPACKS_CONFIG: no file"):
        load(root, {"FLEETPACKS_CONFIG": str(tmp_path / "absent.toml")})


@pytest.mark.parametrize("linked", [False, True])
def test_an_operators_file_inside_the_source_is_not_trusted(root: Path, tmp_path: Path, *, linked: bool) -> None:
    inside = root / "ci.toml"
    inside.write_text('image = "evil.example/x"\n')
    named = inside
    if linked:
        named = tmp_path / "link.toml"
        named.symlink_to(inside)

    with pytest.raises(ConfigError, match="inside the source"):
        load(root, {"FLEETPACKS_CONFIG": str(named)})


def test_nothing_is_found_by_walking_up_from_the_source(root: Path, tmp_path: Path) -> None:
    for name in ("config.toml", "fleetpacks.toml", ".config/fleetpacks/config.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('image = "evil.example/x"\n')

    config = load(root, {"HOME": str(tmp_path / "home")})

    assert config.image is None
    assert config.hosts == ()


def test_a_command_without_source_reads_the_operators_file_wherever_it_stands(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "fleetpacks.toml").write_text("not even TOML\n")
    (root / ".config/fleetpacks").mkdir(parents=True)
    (root / ".config/fleetpacks/config.toml").write_text("jobs = 4\n")
    monkeypatch.chdir(root)

    assert load(None, {"HOME": str(root)}).jobs == 4


@pytest.mark.parametrize("linked", ["", "directory", "file"])
def test_dockers_configuration_inside_the_source_is_not_trusted(root: Path, tmp_path: Path, linked: str) -> None:
    inside = root / "docker"
    inside.mkdir()
    (inside / "config.json").write_text('{"credsStore": "evil"}')
    named = inside
    if linked == "directory":
        named = tmp_path / "link"
        named.symlink_to(inside)
    if linked == "file":
        named = tmp_path / "docker"
        named.mkdir()
        (named / "config.json").symlink_to(inside / "config.json")

    with pytest.raises(ConfigError, match="inside the source") as caught:
        load(root, {"DOCKER_CONFIG": str(named)})

    assert caught.value.message.startswith(f"$DOCKER_CONFIG: {named}: ")
    assert "keep it elsewhere" in caught.value.hint


def test_a_home_inside_the_source_gives_no_credentials_either(root: Path) -> None:
    variables = {"HOME": str(root / "home")}
    before = load(root, variables).docker_config
    (root / "home/.docker").mkdir(parents=True)
    (root / "home/.docker/config.json").write_text("{}")

    with pytest.raises(ConfigError, match=r"home/\.docker/config\.json: Docker's configuration inside the source"):
        load(root, variables)

    assert before == root / "home/.docker"


def test_dockers_configuration_elsewhere_is_taken(root: Path, tmp_path: Path) -> None:
    assert load(root, {"DOCKER_CONFIG": str(tmp_path / "d")}).docker_config == tmp_path / "d"
    assert load(None, {"DOCKER_CONFIG": str(root)}).docker_config == root


def test_mirrors_of_package_indexes_arrive(root: Path, tmp_path: Path) -> None:
    config = _load(
        root,
        tmp_path,
        """
        [mirrors]
        npm = { url = "https://mirror.example/npm" }
        pypi = { env = "PYPI_MIRROR" }
        crates = { file = "/run/secrets/crates" }
        """,
    )

    assert config.mirrors["npm"].url == "https://mirror.example/npm"
    assert config.mirrors["pypi"].env == "PYPI_MIRROR"
    assert config.mirrors["crates"].file == Path("/run/secrets/crates")
    assert config.settings_for(".").indexes == ("npm", "pypi", "crates")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[mirrors]\nnpn = { url = 'https://a' }\n", "operator.toml:2: mirrors.npn: unknown package index"),
        ("[mirrors]\nnpm = {}\n", "operator.toml:2: mirrors.npm: expected one of url, env and file"),
        ("[mirrors]\nnpm = { url = 'a', env = 'B' }\n", "mirrors.npm: expected one of url, env and file"),
        ("[mirrors]\nnpm = { file = 'a' }\n", "mirrors.npm.file: expected an absolute path"),
        ("[mirrors]\nnpm = { url = 'ftp://a' }\n", "mirrors.npm.url: the mirror of npm: expected an http or https URL"),
        ("[mirrors]\nnpm = { url = 'https://a:b@c/' }\n", "mirrors.npm.url: it holds a password"),
    ],
)
def test_a_mirror_that_cannot_be_is_an_error_without_its_address(
    root: Path, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        _load(root, tmp_path, text)

    assert message in caught.value.message
    assert "a:b" not in caught.value.message + caught.value.hint
