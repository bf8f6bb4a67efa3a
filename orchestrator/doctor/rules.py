"""What is wrong with facts: rules without any input, each for one symptom, in the order in which to mend them."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from orchestrator.doctor.facts import Answer, Builder, Built, Facts, Problem
from orchestrator.text import duration, size
from remote.probe import NETWORK

_WAITING = 0.2
"""Of the processors' time: below it, disks hinder hardly anybody."""
_STALLED = 0.4
_SKEWED = 60.0
"""Seconds: tokens of registries and certificates are valid from a moment on, and forgive less than this."""
_NEARLY_OUT = 0.2
"""Of the pulls that a registry allows, left."""
_SLOW = 5_000_000
"""Bytes a second."""
_ENOUGH = 10_000_000
"""Bytes: of less, a speed says little."""
_TIMES = 5.0
_LONG = 30.0
"""Seconds: who builds within them is not hindered, whatever the ratio."""
_FIRST, _LATER = 0.2, 0.5
"""Of an app's steps, cached: less is a first build, more a later one."""
_OWN_NAMES: Mapping[str, str] = {"amd64": "x86_64", "arm64": "aarch64", "386": "i386"}


def problems(facts: Facts) -> tuple[Problem, ...]:
    """All that is wrong."""
    return (*facts.told, *(each for rule in _RULES for each in rule(facts)))


def waiting(facts: Facts) -> Iterator[Problem]:
    """Processors wait for disks: unpacking a layer writes thousands of small files."""
    pressure = facts.pressure
    if pressure is None or (pressure.iowait < _WAITING and (pressure.stalled or 0.0) < _STALLED):
        return
    message = f"processors wait for disks {pressure.iowait:.0%} of the time"
    if pressure.stalled is not None:
        message += f", and in the last minute something stood still for them {pressure.stalled:.0%} of it"
    here = [builder for builder in facts.builders if builder.is_here and builder.root is not None]
    for builder in here:
        yield Problem(
            kind="iowait", about=builder.address, message=f"{message}; {_lies(builder)}", cure=_faster(builder)
        )
    if not here:
        yield Problem(kind="iowait", about="this machine", message=message, cure="iostat -x 5")


def overlay(facts: Facts) -> Iterator[Problem]:
    """Without overlayfs, every layer is copied in full."""
    here = [builder for builder in facts.builders if builder.is_here]
    used = any("overlay" in (builder.snapshotter or "") for builder in here)
    if facts.overlay is False and here and not used:
        yield Problem(
            kind="overlay-missing",
            about="this machine",
            message="the kernel has no overlayfs: the builder here copies every layer in full",
            cure="a kernel with CONFIG_OVERLAY_FS; where its modules are packed apart: "
            "apt-get install linux-modules-extra-$(uname -r)",
        )


def packets(facts: Facts) -> Iterator[Problem]:
    """Packets of a bridge that are larger than the way out takes get lost: connections hang after first bytes."""
    least = min((each.mtu for each in facts.interfaces if each.is_default), default=None)
    for each in facts.interfaces:
        if least is not None and each.is_bridge and each.mtu > least:
            yield Problem(
                kind="mtu",
                about=each.name,
                message=f"its packets may have {each.mtu} bytes, and the way out takes {least}: downloads hang",
                cure=f"ip link set dev {each.name} mtu {least}; for good: {_smaller(each.name, least)}",
            )


def _smaller(bridge: str, mtu: int) -> str:
    # The engine's file is for its own bridge alone; each other one is a network that somebody has made.
    if bridge == "docker0":
        return f'"mtu": {mtu} in /etc/docker/daemon.json'
    return f"make its network anew: docker network create -o com.docker.network.driver.mtu={mtu} NAME"


def clock(facts: Facts) -> Iterator[Problem]:
    """A clock that is wrong makes tokens and certificates invalid."""
    said = [(each, each.ahead) for each in facts.answers if each.ahead is not None]
    # The answer was made somewhere between question and arrival.
    wrong = [(each, ahead) for each, ahead in said if abs(ahead) - each.seconds > _SKEWED]
    # One registry's clock may be the one that is wrong.
    if wrong and len(wrong) * 2 > len(said):
        each, ahead = wrong[0]
        way = "before" if ahead > 0 else "behind"
        yield Problem(
            kind="clock",
            about="this machine",
            message=f"its clock is {duration(abs(ahead))} {way} that of {each.host}",
            cure="timedatectl set-ntp true",
        )


def limits(facts: Facts) -> Iterator[Problem]:
    """A registry that counts pulls refuses them when they are used up."""
    for each in facts.answers:
        if each.limit and each.remaining is not None and each.remaining < each.limit * _NEARLY_OUT:
            yield limited(each, facts.mirror)


def limited(answer: Answer, mirror: str | None) -> Problem:
    """What a registry says that allows no more pulls, or hardly any.

    Args:
        answer: the registry's.
        mirror: of Docker Hub; None: there is none.
    """
    left = "no pulls are allowed now"
    if answer.remaining is not None and answer.limit is not None:
        window = f" in {duration(answer.window)}" if answer.window else ""
        left = f"{answer.remaining} of {answer.limit} pulls{window} are left"
    if not answer.known:
        cure = f"docker login {answer.host}"
    elif mirror is None:
        cure = "export REGISTRY_MIRROR=registry.example/hub, a mirror of your own"
    else:
        cure = "fleetpacks cache warm, once on each builder, so that builds pull nothing"
    return Problem(kind="registry-limit", about=answer.host, message=left, cure=cure)


def pulls(facts: Facts) -> Iterator[Problem]:
    """Base images come slowly."""
    pulled = [each for each in facts.builds if each.pulled >= _ENOUGH and each.pulling > 0]
    if not pulled:
        return
    speed = sum(each.pulled for each in pulled) / sum(each.pulling for each in pulled)
    if speed < _SLOW:
        cure = "fleetpacks cache warm, before builds"
        if facts.mirror is None:
            cure += "; export REGISTRY_MIRROR=registry.example/hub, a mirror that is near"
        yield Problem(
            kind="pull-slow",
            about="base images",
            message=f"they came with {size(int(speed))} a second to {_apps(pulled)}",
            cure=cure,
        )


def unpacking(facts: Facts) -> Iterator[Problem]:
    """Layers are unpacked slowly: thousands of small files are written, for each of which a far disk is waited for."""
    pulled = [each for each in facts.builds if each.pulled >= _ENOUGH and each.unpacking > 0]
    took = sum(each.unpacking for each in pulled)
    if took < _LONG or (speed := sum(each.pulled for each in pulled) / took) >= _SLOW:
        return
    message = f"layers were unpacked with {size(int(speed))} a second for {_apps(pulled)}"
    # Of several, the records do not say which one it was.
    if len(facts.builders) == 1 and facts.builders[0].root is not None:
        builder = facts.builders[0]
        yield Problem(
            kind="unpack-slow", about=builder.address, message=f"{message}; {_lies(builder)}", cure=_faster(builder)
        )
    else:
        yield Problem(
            kind="unpack-slow", about="builders", message=message, cure="fleetpacks hosts check, on what they build"
        )


def first(facts: Facts) -> Iterator[Problem]:
    """First builds take many times as long as later ones, and nothing keeps what they have done."""
    if facts.layers and facts.packages:
        return
    slow: list[tuple[float, str, float, float]] = []
    for app in dict.fromkeys(each.app for each in facts.builds):
        builds = [each for each in facts.builds if each.app == app and each.steps]
        cold = [each.seconds for each in builds if each.cached < each.steps * _FIRST]
        warm = [each.seconds for each in builds if each.cached > each.steps * _LATER]
        if cold and warm and median(cold) > _LONG and (ratio := median(cold) / max(median(warm), 0.001)) >= _TIMES:
            slow.append((ratio, app, median(cold), median(warm)))
    if slow:
        ratio, app, cold_, warm_ = max(slow)
        missing = [
            *([] if facts.layers else ["CACHE_IMAGE=registry.example/cache CACHE_MODE=max"]),
            *([] if facts.packages else ["BUILD_CACHE_DIR=/var/cache/fleetpacks/packages"]),
        ]
        yield Problem(
            kind="first-build",
            about=app,
            message=f"on a builder that has nothing it takes {duration(cold_)}, later {duration(warm_)}: "
            f"{ratio:.0f} times as long",
            cure=f"export {' '.join(missing)}",
        )


def platforms(facts: Facts) -> Iterator[Problem]:
    """Images are wanted for processors that no builder runs or imitates."""
    there = {name for builder in facts.builders for name in builder.platforms}
    for platform, app in facts.wanted.items():
        if facts.builders and not any(name == platform or name.startswith(f"{platform}/") for name in there):
            architecture = platform.partition("/")[2].partition("/")[0]
            yield Problem(
                kind="platform-missing",
                about=app,
                message=f"it is built for {platform}, and no builder runs or imitates that",
                cure=f"docker run --privileged --rm tonistiigi/binfmt --install {architecture}, or a host of its own: "
                f"--host ssh://user@{_OWN_NAMES.get(architecture, architecture)}.example",
            )


_RULES = (overlay, waiting, unpacking, packets, clock, limits, pulls, first, platforms)


def _lies(builder: Builder) -> str:
    disk = builder.disk
    if disk is None:
        return f"{builder.root} is where its layers are"
    on = f"{disk.kind} on {disk.backing}" if disk.backing else disk.kind
    return f"{builder.root} lies on {on}{f' ({disk.filesystem})' if disk.filesystem else ''}"


def _faster(builder: Builder) -> str:
    disk = builder.disk
    if disk is not None and disk.kind in {"nvme", "ssd", "memory"} and disk.backing not in NETWORK:
        return "fleetpacks build --jobs 2, or fewer slots: more builds at once write more than the disk takes"
    if builder.is_engine:
        return (
            f"systemctl stop docker && rsync -aHAX {builder.root}/ /LOCAL-DISK/docker/; then "
            'write "data-root": "/LOCAL-DISK/docker" into /etc/docker/daemon.json, and: systemctl start docker'
        )
    return (
        f"systemctl stop buildkit && rsync -aHAX {builder.root}/ /LOCAL-DISK/buildkit/; then "
        'write root = "/LOCAL-DISK/buildkit" into /etc/buildkit/buildkitd.toml, and: systemctl start buildkit'
    )


def _apps(builds: Sequence[Built]) -> str:
    names = list(dict.fromkeys(each.app for each in builds))
    return names[0] if len(names) == 1 else f"{len(names)} apps"
