"""Where a plan's apps would be built if nothing else ran: from what earlier runs left and a hash. Nobody is asked.

What hosts build for is known only where their addresses say it; a run asks them.
"""

import os
from collections.abc import Mapping

import msgspec

from orchestrator.app import builder
from orchestrator.app.learning import Learning
from orchestrator.app.skipping import memory_of
from orchestrator.config import Config
from orchestrator.model import Plan
from orchestrator.plan.bases import base_names
from orchestrator.schedule.jobs import job, lying
from orchestrator.schedule.placement import Host, Placed, Pool
from orchestrator.schedule.platforms import parts_of
from remote.address import SshAddress


def places(config: Config, plan: Plan) -> Mapping[str, tuple[Placed, ...]]:
    """The place of each app that has one, by the app's name; several, where its platforms have hosts of their own.

    Raises:
        UsageError: an address is wrong or named twice.
    """
    addresses = builder.addresses(config)
    learning = Learning(plan, memory_of(config))
    speeds, bases = learning.speeds, base_names(plan.apps)
    cores = len(os.sched_getaffinity(0))
    hosts = [
        Host(
            name=str(at),
            slots=builder.slots(host, at) or cores,
            platforms=frozenset({at.platform} if isinstance(at, SshAddress) and at.platform else ()),
            speed=speeds.get(str(at), 1.0),
        )
        for host, at in zip(config.hosts, addresses, strict=True)
        if not host.drain
    ]
    jobs = {app.app.name: job(app, bases=bases[app.app.name]) for app in plan.apps}
    pool = Pool(hosts, limit=len(hosts), lies=lying(jobs, learning.hosts))
    found: dict[str, tuple[Placed, ...]] = {}
    for app in plan.apps:
        parts = parts_of(app, [host.platforms for host in hosts])
        whole = jobs[app.app.name]
        each = [msgspec.structs.replace(whole, platform=part.part) for part in parts] or [whole]
        found[app.app.name] = tuple(placed for one in each if (placed := pool.expected(one)) is not None)
    return {name: placed for name, placed in found.items() if placed}
