"""A cluster's builders and a job that builds: `kubectl apply` for what stays, `kubectl create` for each run."""

from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from orchestrator.errors import UsageError
from orchestrator.init import operatorfile
from orchestrator.init.project import Builder, File, Generated, Project, label, registry_of, values
from orchestrator.init.rendering import render

PATH: Final = "deploy/fleetpacks.yaml"
JOB: Final = "deploy/fleetpacks-job.yaml"
GIT: Final = "alpine/git:v2.49.1"
ROOTLESS: Final = "moby/buildkit:v0.30.0-rootless"
_SLOTS = 4
_MOUNTS = "/cache/packages"
_BUILDKITD = """\
[worker.oci]
gc = true
max-parallelism = {steps}

[[worker.oci.gcpolicy]]
all = true
maxUsedSpace = {keep}
minFreeSpace = {free}
"""
"""One policy for everything, the least recently used first: the usual ones delete local sources and package caches
before all else, which cost the most to have again. In bytes: by `GB`, the daemon means 2 to the power of 30."""
_GIGABYTE = 1_000_000_000
_KEPT = _GIGABYTE * 8 // 10
"""Of each gigabyte of a builder's disk, what its collector leaves to its cache."""
_FREE = _GIGABYTE // 10


def manifests(
    project: Project,
    *,
    replicas: int = 2,
    cache_class: str | None = None,
    builder_class: str | None = None,
    gigabytes: int = 100,
) -> Generated:
    """The manifests.

    Args:
        project: what is known.
        replicas: builders.
        cache_class: the storage class of the volume that all jobs share; None: the cluster's own choice.
        builder_class: that of each builder's disk.
        gigabytes: of each builder's disk.

    Raises:
        UsageError: something is missing, or cannot be written into a manifest.
    """
    image, repository = needed(project)
    name = namespace(project)
    builders = f"{name}-builders"
    slots = _slots(project)
    pool = Builder(url=pool_of(project), slots=slots)
    shared = {"project": project, "name": name, "values": list(values(project).items())}
    operator = operatorfile.text(project, builders=[pool], cache=project.cache, mounts=_MOUNTS)
    text = render(
        "kubernetes",
        "kubernetes.yml.j2",
        **shared,
        path=PATH,
        job=JOB,
        builders=builders,
        registry=registry_of(image),
        operator=operator,
        buildkitd=_BUILDKITD.format(keep=gigabytes * _KEPT, free=gigabytes * _FREE, steps=slots * 2),
        buildkit=ROOTLESS,
        replicas=replicas,
        storage_class=cache_class,
        state_class=builder_class,
        cache_size=f"{max(1, project.mounts_size // _GIGABYTE) * 2}G",
        state_size=f"{gigabytes}G",
        cpu=str(slots),
        memory=f"{slots * 2}Gi",
        ports=_ports(project),
    )
    job = render("kubernetes", "kubernetes-job.yml.j2", **shared, path=JOB, git=GIT, repository=repository)
    return Generated(files=(File(path=PATH, text=text), File(path=JOB, text=job)), warnings=_warnings(project, name))


def needed(project: Project) -> tuple[str, str]:
    """Where images go, and where the source is fetched: what a cluster does not know by itself.

    Raises:
        UsageError: one of them is not known, or which image has fleetpacks in it.
    """
    if project.tool is None:
        raise UsageError(
            "which image has fleetpacks in it?",
            hint="Push one that your cluster may pull, such as the drop-in container: --tool registry.example/dropin.",
        )
    if project.repository is None:
        raise UsageError(
            "where does a job fetch the source from? git knows no https address",
            hint="Name it: --repository https://git.example/team/project.git.",
        )
    if project.image is None:
        raise UsageError(
            "where do images go? A cluster has no registry by itself",
            hint="Say --image registry.example/team/{app}, or image in the operator's file.",
        )
    return project.image, project.repository


def namespace(project: Project) -> str:
    """Where builds are: called as the repository, for a checkout's directory may be called anything, such as `src`."""
    path = urlsplit(project.repository or "").path.rstrip("/")
    name = label(path.rpartition("/")[2].removesuffix(".git") or project.name)
    # Kubernetes' own, whose rules are not ours to change.
    return f"fleetpacks-{name}" if name == "default" or name.startswith("kube-") else name


def pool_of(project: Project) -> str:
    """The address of the cluster's builders: one name, which has the address of each."""
    return f"tcp://buildkitd.{namespace(project)}-builders.svc.cluster.local:1234"


def _slots(project: Project) -> int:
    said = [each.slots for each in project.builders if each.slots is not None]
    return max(said, default=_SLOTS)


def _ports(project: Project) -> list[int]:
    """Where registries and git listen. A run asks for base images, too, to see whether they have changed."""
    hosts = [registry_of(image) for image in (project.image, project.cache, *project.cache_from) if image]
    for base in project.bases:
        # What is in a Dockerfile need not be an image's name.
        with suppress(UsageError):
            hosts.append(registry_of(base))
    hosts += [mirror.partition("/")[0] for mirror in (project.hub, project.dhi, *project.images.values()) if mirror]
    source = urlsplit(project.repository or "")
    hosts.append(source.netloc.rpartition("@")[2])
    named = {int(port) for host in hosts for _, colon, port in [host.rpartition(":")] if colon and port.isdigit()}
    plain = {80} if project.insecure or project.cache_insecure or source.scheme == "http" else set[int]()
    return sorted({443, *named, *plain})


def _warnings(project: Project, name: str) -> tuple[str, ...]:
    found = [f"make the secret `registry` in the namespace {name}: the command stands in {PATH}"]
    if values(project):
        found.append(f"make the secret `build-values` in the namespace {name}: the command stands in {PATH}")
    found.append(f"the job fetches the source without a login: for a private repository, put one into {JOB}")
    if project.builders:
        found.append("the builders are those of the cluster; those that you have named are not used there")
    return tuple(found)
