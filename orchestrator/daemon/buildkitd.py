"""What a buildkitd is started with: its file, in TOML, and its words. Pure.

Steps share this machine's network: nothing has to be made for that, and nothing can be left. Keys that older daemons do
not know are passed over by them; for those there are the older keys of the same meaning, which newer ones leave alone
where they find the new ones.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from orchestrator.daemon.model import Settings

SNAPSHOTTERS = {"overlay2": "overlayfs", "fuse-overlayfs": "fuse-overlayfs", "vfs": "native"}
_RESERVED = 10**9
"""Bytes that a full disk does not take from the cache."""
Value = str | bool | int | Sequence[str]


def command(of: Settings) -> list[str]:
    """The words that start it."""
    return [of.programs.get("buildkitd", "buildkitd"), "--config", str(of.file)]


def text(of: Settings) -> str:
    """Its file."""
    return "\n".join(_lines(of)) + "\n"


def policies(of: Settings) -> tuple[Mapping[str, Value], ...]:
    """What is deleted first when the cache is too large, or the disk too full: always what was used longest ago.

    Layers go before anything else: they can be had again. The daemon's own policy would begin with copies of sources
    and with cache mounts, as soon as these take more than half a gigabyte: what makes the next build fast.
    """
    limits: dict[str, Value] = {
        "keepBytes": of.size,
        "reservedSpace": min(_RESERVED, of.size),
        "maxUsedSpace": of.size,
        "minFreeSpace": of.free,
    }
    return (
        {"filters": ["type!=source.local,type!=exec.cachemount"], **limits},
        dict(limits),
        {"all": True, **limits},
    )


def _lines(of: Settings) -> Iterator[str]:
    allowed: dict[str, Value] = {"insecure-entitlements": of.entitlements} if of.entitlements else {}
    yield from _table("", {"root": str(of.root / "buildkit"), **allowed})
    yield from _table("grpc", {"address": [f"unix://{of.socket}"]})
    yield from _table("otel", {"socketPath": str(of.run / "otel.sock")})
    yield from _table("cdi", {"disabled": True})
    if of.dns:
        yield from _table("dns", {"nameservers": of.dns})
    yield from _table("worker.containerd", {"enabled": False})
    worker: dict[str, Value] = {
        "enabled": True,
        "snapshotter": SNAPSHOTTERS[of.storage],
        "networkMode": "host",
        "defaultCgroupParent": f"/{of.name}",
        "gc": True,
    }
    if "runc" in of.programs:
        worker["binary"] = of.programs["runc"]
    yield from _table("worker.oci", worker)
    for policy in policies(of):
        yield from _table("worker.oci.gcpolicy", policy, repeated=True)
    for host in dict.fromkeys((*of.mirrors, *of.insecure)):
        mirrors: dict[str, Value] = {"mirrors": [of.mirrors[host]]} if host in of.mirrors else {}
        yield from _table(f"registry.{quoted(host)}", {**mirrors, **({"http": True} if host in of.insecure else {})})


def _table(name: str, keys: Mapping[str, Value], *, repeated: bool = False) -> Iterator[str]:
    if name:
        yield f"\n[[{name}]]" if repeated else f"\n[{name}]"
    for key, value in keys.items():
        yield f"{key} = {quoted(value)}"


def quoted(value: Value) -> str:
    """A value in TOML."""
    # Of these types, TOML's notation is JSON's but for one control character.
    if isinstance(value, (str, bool, int)):
        return msgspec.json.encode(value).decode().replace("\x7f", "\\u007F")
    return f"[{', '.join(quoted(each) for each in value)}]"
