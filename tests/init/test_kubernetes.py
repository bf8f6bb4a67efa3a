"""Manifests: Kubernetes' own schemas have nothing to say, nor has pod security, and their daemon's file is read."""

import json
import secrets
import sys
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import kubernetes_validate
import msgspec
import pytest

from orchestrator.config import environment
from orchestrator.errors import UsageError
from orchestrator.init.kubernetes import manifests, pool_of
from orchestrator.init.project import Project
from tests.conftest import RealCount
from tests.init import jobs
from tests.init.checkers import loaded
from tests.init.projects import full
from tests.lab import Lab

_VERSION = "1.30"
"""The oldest that still has what is used; its schemas are as strict as they come."""


def documents(made: Project, **said: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401 -- options
    found = [each for file in manifests(made, **said).files for each in loaded(file.text)]
    return {f"{each['kind']}/{each['metadata'].get('name', '')}": each for each in found}


@pytest.mark.parametrize(
    "said", [{}, {"replicas": 5, "cache_class": "cephfs", "builder_class": "local-nvme", "gigabytes": 500}]
)
def test_kubernetes_own_schemas_have_nothing_to_say(said: dict[str, Any]) -> None:
    found = documents(full(), **said)

    for each in found.values():
        kubernetes_validate.validate(each, _VERSION, strict=True)
    wrong = json.loads(json.dumps(found["StatefulSet/buildkitd"]))
    wrong["spec"]["replica"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, _VERSION, strict=True)


def test_a_job_is_all_that_the_restricted_profile_asks_for() -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted."""
    spec = documents(full())["Job/"]["spec"]["template"]["spec"]

    pod = spec["securityContext"]
    assert (pod["runAsNonRoot"], pod["runAsUser"], pod["seccompProfile"]) == (True, 1000, {"type": "RuntimeDefault"})
    for container in (*spec["initContainers"], *spec["containers"]):
        least = container["securityContext"]
        assert (least["allowPrivilegeEscalation"], least["capabilities"]) == (False, {"drop": ["ALL"]})
        assert least["readOnlyRootFilesystem"] is True
    kinds = {"configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
    assert {key for volume in spec["volumes"] for key in volume} - {"name"} <= kinds
    assert "hostNetwork" not in spec


def test_one_name_has_the_address_of_every_builder_and_only_jobs_reach_it() -> None:
    found = documents(full(), replicas=3)

    service, pods, policy = (found[f"{kind}/buildkitd"] for kind in ("Service", "StatefulSet", "NetworkPolicy"))
    operator = tomllib.loads(found["ConfigMap/fleetpacks"]["data"]["config.toml"])
    assert service["spec"]["clusterIP"] == "None"
    assert (pods["spec"]["serviceName"], pods["spec"]["replicas"]) == ("buildkitd", 3)
    assert service["spec"]["selector"] == pods["spec"]["template"]["metadata"]["labels"]
    assert operator["hosts"] == [{"url": pool_of(full()), "slots": 8}]
    assert operator["hosts"][0]["url"] == "tcp://buildkitd.shop-builders.svc.cluster.local:1234"
    assert [each["metadata"]["namespace"] for each in (service, pods, policy)] == ["shop-builders"] * 3
    [allowed] = policy["spec"]["ingress"]
    assert allowed["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}]
    enforced = [
        found[f"Namespace/{name}"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for name in ("shop", "shop-builders")
    ]
    assert enforced == ["restricted", "privileged"]


def test_a_job_reaches_the_ports_that_registries_and_git_have() -> None:
    policy = documents(full())["NetworkPolicy/fleetpacks"]

    ports = [each["port"] for each in policy["spec"]["egress"][-1]["ports"]]
    assert ports == [80, 443, 5000, 8443]


@pytest.mark.parametrize(
    ("said", "port"),
    [
        ({"hub": "mirror.example:7001/hub"}, 7001),
        ({"dhi": "mirror.example:7002/dhi"}, 7002),
        ({"images": {"ghcr.io": "mirror.example:7003"}}, 7003),
        ({"bases": ("$BASE", "bases.example:7004/go:1")}, 7004),
        ({"repository": "http://git.example/shop.git"}, 80),
    ],
)
def test_a_job_reaches_mirrors_base_images_and_a_git_without_tls(said: dict[str, Any], port: int) -> None:
    plain = {"insecure": (), "cache_insecure": False, "repository": "https://git.example/shop.git"}

    policy = documents(full(**{**plain, **said}))["NetworkPolicy/fleetpacks"]

    assert [each["port"] for each in policy["spec"]["egress"][-1]["ports"]] == sorted({443, 5000, port})


@pytest.mark.parametrize(
    ("repository", "directory", "name"),
    [
        ("https://git.example/team/Shop_2.git/", "src", "shop-2"),
        ("https://git.example", "My Shop", "my-shop"),
        ("https://git.example/default.git", "main", "fleetpacks-default"),
        ("https://git.example/team/kube-tools", "main", "fleetpacks-kube-tools"),
    ],
)
def test_the_namespace_is_called_as_the_repository_and_is_none_of_the_clusters_own(
    repository: str, directory: str, name: str
) -> None:
    made = full(repository=repository, name=directory)

    found = documents(made)

    assert {key for key in found if key.startswith("Namespace/")} == {f"Namespace/{name}", f"Namespace/{name}-builders"}
    assert f".{name}-builders." in pool_of(made)


def test_what_nothing_keeps_out_and_what_is_done_by_hand_is_said() -> None:
    made = manifests(full())

    assert "its steps share the pod's network, and reach the daemon at 127.0.0.1" in made.files[0].text
    assert any("fetches the source without a login" in each for each in made.warnings)


def test_secrets_and_mirrors_come_from_the_clusters_own_store() -> None:
    [container] = documents(full())["Job/"]["spec"]["template"]["spec"]["containers"]

    referred = {each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"] if "valueFrom" in each}
    assert referred == {
        name: {"name": "build-values", "key": name}
        for name in ("LICENCE", "NPM_TOKEN", "X", "PYPI_URL", "GO_MIRROR", "DHI_USERNAME", "DHI_PASSWORD")
    }


@pytest.mark.parametrize(
    ("lacking", "hint"), [("tool", "--tool"), ("repository", "--repository"), ("image", "--image")]
)
def test_what_a_cluster_cannot_know_is_asked_for(lacking: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        manifests(full(**{lacking: None}))

    assert hint in caught.value.hint


@pytest.mark.parametrize(("field", "value"), [("repository", "https://git.example/$(HOME)"), ("tool", "a/$(b)")])
def test_what_kubernetes_would_replace_is_refused(field: str, value: str) -> None:
    with pytest.raises(UsageError, match="read as something else"):
        manifests(full(**{field: value}))


@pytest.mark.real
@pytest.mark.apart
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_real_daemon_reads_its_file(lab: Lab, tmp_path: Path) -> None:
    file, socket = tmp_path / "buildkitd.toml", tmp_path / "s"
    file.write_text(documents(full(), gigabytes=500)["ConfigMap/buildkitd"]["data"]["buildkitd.toml"])
    words = [f"--config={file}", f"--root={tmp_path}/root", f"--addr=unix://{socket}", "--containerd-worker=false"]
    words += ["--oci-worker-net=host", f"--otel-socket-path={tmp_path}/otel"]
    command = ["unshare", "--mount", str(lab.buildctl.with_name("buildkitd")), *words]
    variables = {**environment.read(), "PATH": f"{lab.runc.parent}:{environment.read()['PATH']}"}

    async with await anyio.open_process(command, stdout=None, stderr=None, env=variables) as daemon:
        try:
            with anyio.fail_after(30):
                while not socket.exists():  # noqa: ASYNC110 -- another process makes it
                    await anyio.sleep(0.05)
            asked = [str(lab.buildctl), f"--addr=unix://{socket}", "debug", "workers", "--verbose"]
            told = (await anyio.run_process(asked)).stdout.decode()
        finally:
            with anyio.CancelScope(shield=True):
                with suppress(ProcessLookupError):
                    daemon.kill()
                await daemon.wait()

    assert told.count("GC Policy rule#") == 1
    assert "400GB" in told
    assert "50GB" in told


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_jobs_commands_fetch_the_source_and_publish_its_images(
    lab: Lab, tmp_path: Path, real_count: RealCount
) -> None:
    origin, name = tmp_path / "origin", f"init-{secrets.token_hex(4)}"
    await jobs.repository(origin)
    made = full(
        image=f"{lab.registry}/{name}/{{app}}", repository=str(origin), hub=None, dhi=None, hardened=False, secrets=()
    )
    found = documents(msgspec.structs.replace(made, cache=None, cache_from=(), mirrors=(), cache_insecure=False))
    spec = found["Job/"]["spec"]["template"]["spec"]
    # What is mounted into the pod, and the cluster's builders: here it is the lab's.
    inside = {mount["mountPath"] for each in spec["containers"] for mount in each["volumeMounts"]}
    for place in inside:
        (tmp_path / place.strip("/")).mkdir(parents=True, exist_ok=True)
    text = found["ConfigMap/fleetpacks"]["data"]["config.toml"].replace(pool_of(made), lab.buildkit_host)
    (tmp_path / "etc/fleetpacks/config.toml").write_text(text.replace("/cache/packages", f"{tmp_path}/cache/packages"))

    def here(word: str) -> str:
        return next((f"{tmp_path}{word}" for place in inside if word.startswith(place)), word)

    for container in (*spec["initContainers"], *spec["containers"]):
        variables = {each["name"]: here(each["value"]) for each in container["env"]}
        variables["PATH"] = f"{Path(sys.executable).parent}:{environment.read()['PATH']}"
        words = [here(word) for word in (*container["command"], *container["args"])]
        words = [word.replace(" /workspace", f" {tmp_path}/workspace") for word in words]
        ran = await anyio.run_process(words, env=variables, check=False)
        assert ran.returncode == 0, (ran.stdout + ran.stderr).decode()

    real_count.record("build", times=2)
    for app in ("api", "web"):
        # The revision, and the record by which the next job skips it.
        assert {len(tag) for tag in await jobs.tags(lab.registry, f"{name}/{app}") - {"latest"}} == {12, 67}
    assert (tmp_path / "cache/state/fleetpacks/runs").is_dir()
