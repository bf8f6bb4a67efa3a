"""What is said of daemons that we start ourselves."""

import msgspec

from orchestrator.app import isolated
from orchestrator.buildkit.grpc import open_client
from orchestrator.buildkit.protos import control_pb2, worker_pb2
from orchestrator.config import load
from orchestrator.events import RunStarted
from remote import address, connect
from tests.e2e.options.bench import BASE, SCRATCH, Bench
from tests.e2e.options.model import Effect, Option

_STORED = {"buildkitd": "buildkit/runc-native/snapshots", "dockerd": "docker/vfs/dir"}
"""Where copies of layers lie below the directory of a daemon that makes them."""
_WORKERS = "/moby.buildkit.v1.Control/ListWorkers"
_SIZE, _FREE = 7_000_000_000, 3_000_000_000


async def _engine(bench: Bench) -> Effect:
    bench.write({"Dockerfile": SCRATCH})
    ran = await bench.run("--no-push")
    [begun] = [event for event in ran.events if isinstance(event, RunStarted)]
    return Effect(there=begun.builder.endswith(f"/daemon/{bench.place.daemon}/run/{bench.place.daemon}.sock"))


async def _root(bench: Bench) -> Effect:
    bench.write({"Dockerfile": SCRATCH})
    bench.operator(f'[daemon]\nroot = "{bench.folder}/d"\n')
    await bench.run("--no-push")
    return Effect(there=(bench.folder / "d/log").exists())


async def _storage(bench: Bench) -> Effect:
    bench.write({"Dockerfile": BASE})
    bench.operator(f'[daemon]\nroot = "{bench.folder}/d"\n')
    await bench.run("--no-push", STORAGE_DRIVER="vfs")
    place = bench.folder / "d" / _STORED[bench.place.daemon or ""]
    return Effect(there=place.is_dir() and any(place.iterdir()))


async def _dns(bench: Bench) -> Effect:
    bench.write({"Dockerfile": f"{BASE}RUN cat /etc/resolv.conf\n"})
    bench.operator('[daemon]\ndns = ["198.51.100.7"]\n')
    ran = await bench.run("--no-push")
    return Effect(there="nameserver 198.51.100.7" in bench.logged(ran).splitlines())


async def _mtu(bench: Bench) -> Effect:
    bench.write({"Dockerfile": f"{BASE}RUN cat /sys/class/net/eth0/mtu\n"})
    bench.operator("[daemon]\nmtu = 1301\n")
    ran = await bench.run("--no-push", fails=True)
    return Effect(there="1301" in bench.logged(ran).splitlines())


async def _size(bench: Bench) -> Effect:
    policies = await _policies(bench, 'cache_size = "7GB"')
    # Engines before 23 answer with the one limit that they know.
    return Effect(there=bool(policies) and {each.max_used_space or each.reserved_space for each in policies} == {_SIZE})


async def _free(bench: Bench) -> Effect:
    policies = await _policies(bench, 'free_space = "3GB"')
    return Effect(there=bool(policies) and {each.min_free_space for each in policies} == {_FREE})


async def _policies(bench: Bench, said: str) -> list[worker_pb2.GCPolicy]:
    """What a daemon says itself of what it deletes."""
    bench.operator(f'[daemon]\nroot = "{bench.folder}/d"\n{said}\n')
    assert bench.place.daemon is not None
    config = load(None, {**bench.place.variables, **bench.said})
    wanted = msgspec.structs.replace(config.isolated, kind=bench.place.daemon)
    async with isolated.started(config, wanted) as daemon:
        for note in daemon.settings.notes:
            bench.hear(note)
        dial = await connect.dialer(address.parse(daemon.settings.url))
        async with open_client(await dial(), authority="localhost") as connection:
            answer = await connection.unary(_WORKERS, control_pb2.ListWorkersRequest().SerializeToString())
    return [each for worker in control_pb2.ListWorkersResponse.FromString(answer).record for each in worker.gc_policy]


ROWS = (
    Option(
        name="`--isolated`, `daemon.engine`",
        of=("--isolated", "daemon.engine"),
        look="the builder's address",
        observe=_engine,
        own=True,
    ),
    Option(name="`daemon.root`", of=("daemon.root",), look="its log lies there", observe=_root, own=True),
    Option(
        name="`STORAGE_DRIVER`, `daemon.storage_driver`",
        of=("daemon.storage_driver", "$STORAGE_DRIVER"),
        look="with `vfs`, copies of layers lie in its directory",
        observe=_storage,
        own=True,
    ),
    Option(
        name="`daemon.dns`", of=("daemon.dns",), look="what a step reads of `/etc/resolv.conf`", observe=_dns, own=True
    ),
    Option(name="`daemon.mtu`", of=("daemon.mtu",), look="a step's interface", observe=_mtu, own=True),
    Option(
        name="`BUILDKIT_CACHE_SIZE`, `daemon.cache_size`",
        of=("daemon.cache_size", "$BUILDKIT_CACHE_SIZE"),
        look="what the daemon says of its garbage collector",
        observe=_size,
        own=True,
    ),
    Option(name="`daemon.free_space`", of=("daemon.free_space",), look="the same", observe=_free, own=True),
)
