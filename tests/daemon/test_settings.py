"""What a daemon is started with: decided in plain functions, read back by the parsers of its files' languages."""

import json
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.daemon import buildkitd, dockerd
from orchestrator.daemon.keeper import leftovers
from orchestrator.daemon.running import task_of
from orchestrator.daemon.settings import decide, is_loopback, root_of
from orchestrator.model import DaemonKind, Isolated, Registry, StorageDriver
from tests.daemon.values import FACTS, ROOT, SAID, settings

_SYSTEM = st.characters(exclude_categories=["Cs"])


def changed(**changes: object) -> Isolated:
    return msgspec.structs.replace(SAID, **changes)


@pytest.mark.parametrize(
    ("kind", "said", "found", "mtu", "notes"),
    [
        ("dockerd", None, 1500, 1450, 0),
        ("dockerd", None, 9001, 8951, 0),
        ("dockerd", None, 600, 576, 0),
        ("dockerd", None, None, None, 0),
        ("dockerd", 1400, 1500, 1400, 0),
        ("buildkitd", None, 1500, None, 0),
        ("buildkitd", 1400, 1500, None, 1),
    ],
)
def test_the_mtu_leaves_room_for_an_overlay_network(
    kind: DaemonKind, said: int | None, found: int | None, mtu: int | None, notes: int
) -> None:
    made = settings(changed(kind=kind, mtu=said), msgspec.structs.replace(FACTS, mtu=found))

    assert (made.mtu, len(made.notes)) == (mtu, notes)
    assert dockerd.document(made).get("mtu") == mtu


@pytest.mark.parametrize(
    ("kind", "version", "said", "notes"),
    [
        ("dockerd", (20, 10), True, 1),
        ("dockerd", None, True, 1),
        ("dockerd", (28, 0), True, 0),
        ("dockerd", (20, 10), False, 0),
        ("buildkitd", None, True, 0),
    ],
)
def test_what_an_older_engine_does_not_know_of_a_full_disk_is_said(
    kind: DaemonKind, version: tuple[int, int] | None, *, said: bool, notes: int
) -> None:
    made = settings(changed(kind=kind, free_said=said), msgspec.structs.replace(FACTS, version=version))

    assert len(made.notes) == notes


@pytest.mark.parametrize(
    ("version", "place", "known"),
    [
        ((20, 10), "mirror.example/hub", False),
        ((20, 10), "mirror.example", True),
        ((28, 0), "mirror.example/hub", True),
    ],
)
def test_a_mirror_with_a_path_is_kept_from_an_engine_that_would_not_start_with_it(
    version: tuple[int, int], place: str, *, known: bool
) -> None:
    facts = msgspec.structs.replace(FACTS, version=version)

    made = decide(changed(kind="dockerd"), facts, root=ROOT, mirrors={"docker.io": place}, registries={})

    assert dockerd.document(made)["registry-mirrors"] == ([f"https://{place}"] if known else [])
    assert len(made.notes) == (not known)


@pytest.mark.parametrize(
    ("driver", "version", "store", "stated"),
    [
        ("overlay2", (28, 3), True, None),
        ("overlay2", (25, 0), True, None),
        ("overlay2", (20, 10), False, "overlay2"),
        ("overlay2", None, False, "overlay2"),
        ("fuse-overlayfs", (28, 3), False, "fuse-overlayfs"),
        ("vfs", (28, 3), False, "vfs"),
    ],
)
def test_an_engine_that_can_keeps_images_in_containerds_store(
    driver: StorageDriver, version: tuple[int, int] | None, *, store: bool, stated: str | None
) -> None:
    made = settings(changed(kind="dockerd", storage=driver), msgspec.structs.replace(FACTS, version=version))

    document = dockerd.document(made)

    assert made.store is store
    assert document.get("storage-driver") == stated
    assert document["features"] == {"containerd-snapshotter": store, "time-namespaces": False}


@pytest.mark.parametrize(
    ("driver", "snapshotter"), [("overlay2", "overlayfs"), ("fuse-overlayfs", "fuse-overlayfs"), ("vfs", "native")]
)
def test_a_storage_driver_is_a_snapshotter_of_buildkitd(driver: StorageDriver, snapshotter: str) -> None:
    document = tomllib.loads(buildkitd.text(settings(changed(storage=driver))))

    assert document["worker"]["oci"]["snapshotter"] == snapshotter


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1:5000", True),
        ("127.8.9.1", True),
        ("localhost", True),
        ("localhost:41605", True),
        ("[::1]:5000", True),
        ("registry.example:5000", False),
        ("10.0.0.1:5000", False),
        ("localhost.example", False),
    ],
)
def test_a_registry_of_this_machine_is_told_by_its_address(host: str, *, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_mirrors_and_insecure_registries_are_those_of_both_daemons() -> None:
    mirrors = {"docker.io": "mirror.example/hub", "dhi.io": "127.0.0.1:5000/dhi"}
    registries = {
        "mirror.example": Registry(host="mirror.example", insecure=True),
        "registry.example": Registry(host="registry.example"),
    }

    found = [
        decide(changed(kind=kind), FACTS, root=ROOT, mirrors=mirrors, registries=registries)
        for kind in ("buildkitd", "dockerd")
    ]

    assert tomllib.loads(buildkitd.text(found[0]))["registry"] == {
        "docker.io": {"mirrors": ["mirror.example/hub"]},
        "dhi.io": {"mirrors": ["127.0.0.1:5000/dhi"]},
        "mirror.example": {"http": True},
        "127.0.0.1:5000": {"http": True},
    }
    document = json.loads(dockerd.text(found[1]))
    assert document["registry-mirrors"] == ["http://mirror.example/hub"]
    assert document["insecure-registries"] == ["127.0.0.1:5000", "mirror.example"]
    assert [len(made.notes) for made in found] == [0, 1]
    assert "dhi.io" in found[1].notes[0]


def test_a_mirror_that_is_not_said_to_be_insecure_is_spoken_to_by_tls() -> None:
    made = decide(changed(kind="dockerd"), FACTS, root=ROOT, mirrors={"docker.io": "mirror.example"}, registries={})

    assert dockerd.document(made)["registry-mirrors"] == ["https://mirror.example"]
    assert dockerd.document(made)["insecure-registries"] == ()


def test_layers_are_deleted_before_sources_and_cache_mounts() -> None:
    made = settings(changed(size=5_000_000_000, free=3_000_000_000))

    first, second, third = tomllib.loads(buildkitd.text(made))["worker"]["oci"]["gcpolicy"]

    assert first.pop("filters") == ["type!=source.local,type!=exec.cachemount"]
    assert third.pop("all") is True
    assert first == second == third
    assert first == {
        # What daemons before 0.17 know, with the meaning of the third.
        "keepBytes": 5_000_000_000,
        "reservedSpace": 1_000_000_000,
        "maxUsedSpace": 5_000_000_000,
        "minFreeSpace": 3_000_000_000,
    }
    policy = json.loads(dockerd.text(made))["builder"]["gc"]["policy"]
    assert [each["filter"] for each in policy] == [["type=regular"], [], []]
    assert {each["keepStorage"] for each in policy} == {"5000000000B"}


def test_an_old_engine_keeps_its_key_where_everything_else_of_it_lies() -> None:
    old, new = (
        dockerd.document(settings(changed(kind="dockerd"), msgspec.structs.replace(FACTS, version=version)))
        for version in ((20, 10), (24, 0))
    )

    assert old["deprecated-key-path"] == f"{ROOT}/key.json"
    assert "deprecated-key-path" not in new


def test_name_servers_are_those_of_both_daemons() -> None:
    made = settings(changed(dns=("10.0.0.2", "fd00::2")))

    assert tomllib.loads(buildkitd.text(made))["dns"] == {"nameservers": ["10.0.0.2", "fd00::2"]}
    assert dockerd.document(made)["dns"] == ("10.0.0.2", "fd00::2")
    assert "dns" not in dockerd.document(settings())
    assert "dns" not in tomllib.loads(buildkitd.text(settings()))


def test_an_engine_gets_a_bridge_of_its_own_and_writes_no_rules() -> None:
    made = settings(changed(kind="dockerd"))
    others = msgspec.structs.replace(made, root=Path("/var/lib/others"))

    document = dockerd.document(made)

    assert document["bridge"] == made.name != others.name
    assert len(made.name) <= 15  # the kernel's limit for interfaces
    assert made.network != others.network
    assert [document[key] for key in ("iptables", "ip6tables", "ip-forward", "ip-masq")] == [False] * 4


def test_an_engines_containers_are_in_its_own_control_groups_also_where_systemd_runs() -> None:
    made = settings(changed(kind="dockerd"))

    document = json.loads(dockerd.text(made))

    # With systemd as their driver, which is its default there, it takes no parent but a slice, and does not start.
    assert document["exec-opts"] == ["native.cgroupdriver=cgroupfs"]
    assert document["cgroup-parent"] == f"/{made.name}"


def test_the_directory_is_of_the_daemons_kind_unless_it_is_said(tmp_path: Path) -> None:
    assert root_of(SAID, tmp_path) == tmp_path / "daemon" / "buildkitd"
    assert root_of(changed(root=Path("/srv/own")), tmp_path) == Path("/srv/own")


def test_a_daemon_gets_a_few_variables_and_no_credential() -> None:
    made = msgspec.structs.replace(settings(changed(kind="dockerd")), ca="-----BEGIN CERTIFICATE-----")
    said = {
        "HTTPS_PROXY": "http://proxy.example:3128",
        "no_proxy": "localhost",
        "SSL_CERT_DIR": "/etc/own",
        "PATH": "/opt/bin",
        "AWS_SECRET_ACCESS_KEY": "planted",
        "NPM_TOKEN": "planted",
        "HOME": "/home/me",
    }

    task = task_of(made, said)

    assert "planted" not in str(task)
    assert task["environment"].keys() == {"HTTPS_PROXY", "no_proxy", "SSL_CERT_DIR", "PATH", "HOME", "TMPDIR"}
    assert task["environment"]["SSL_CERT_DIR"] == f"/etc/own:{made.run}"
    assert task["environment"]["PATH"].startswith("/usr/bin:/opt/bin:")
    assert task["environment"]["HOME"] == str(ROOT)
    assert task["files"][f"{made.run}/ca.pem"] == made.ca
    assert all(path.startswith(task["run"]) for path in task["files"])


def test_what_removes_a_bridge_is_told_what_makes_it() -> None:
    made = settings(changed(kind="dockerd"), msgspec.structs.replace(FACTS, mtu=1500))

    engine, builder = task_of(made, {}), task_of(settings(), {})

    assert engine["bridge"] == {
        "name": made.name,
        "address": f"{made.network}.1",
        "network": f"{made.network}.0/24",
        "mtu": 1450,
        "iptables": "/usr/bin/iptables",
    }
    assert engine["sockets"] == [f"{made.run}/containerd.sock", ""]
    assert builder["bridge"] is None
    assert (engine["overlay"], builder["overlay"], task_of(settings(changed(storage="vfs")), {})["overlay"]) == (
        True,
        True,
        False,
    )


def test_rules_wait_for_others_but_not_for_ever() -> None:
    bridge = task_of(settings(changed(kind="dockerd")), {})["bridge"]
    assert bridge is not None

    made = leftovers.rules(bridge)

    assert [rule[3:5] for rule in made] == [["--wait", "10"]] * 3


@pytest.mark.parametrize(
    ("there", "place"),
    [
        ("-P FORWARD ACCEPT\n", 1),
        ("-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-FORWARD\n", 2),
        ("-P FORWARD DROP\n-A FORWARD -i x -j ACCEPT\n-A FORWARD -j DOCKER-USER\n", 3),
        ("-P FORWARD DROP\n-A FORWARD -j DOCKER-ISOLATION-STAGE-1\n", 1),
        ("", 1),
    ],
)
def test_what_a_machines_owner_says_of_all_containers_comes_first(there: str, place: int) -> None:
    assert leftovers.place_of(there) == place


@given(st.text(_SYSTEM, min_size=1).filter(lambda text: "\0" not in text), st.lists(st.text(_SYSTEM), max_size=3))
def test_every_text_is_quoted_so_that_it_is_read_as_it_was(name: str, addresses: list[str]) -> None:
    root = Path("/") / name.strip("/")
    made = decide(
        changed(dns=tuple(addresses)), FACTS, root=root, mirrors={name: name}, registries={name: Registry(host=name)}
    )

    document = tomllib.loads(buildkitd.text(made))
    engine = json.loads(dockerd.text(made))
    store = tomllib.loads(dockerd.containerd(made))

    assert document["root"] == str(root / "buildkit")
    assert document.get("dns", {"nameservers": []}) == {"nameservers": addresses}
    assert document["registry"][name]["mirrors"] == [name]
    assert engine.get("dns", []) == addresses
    assert store["root"] == str(root / "containerd")


def test_what_builds_may_be_allowed_stands_in_the_files_of_both_daemons() -> None:
    made = settings(changed(kind="buildkitd"), FACTS)
    allowing = msgspec.structs.replace(made, entitlements=("network.host", "security.insecure"))

    assert 'insecure-entitlements = ["network.host", "security.insecure"]\n' in buildkitd.text(allowing)
    assert tomllib.loads(buildkitd.text(allowing))["insecure-entitlements"] == ["network.host", "security.insecure"]
    assert "entitlements" not in buildkitd.text(made)
    assert json.loads(dockerd.text(allowing))["builder"]["entitlements"] == {
        "network-host": True,
        "security-insecure": True,
    }
    assert "entitlements" not in dockerd.text(made)
