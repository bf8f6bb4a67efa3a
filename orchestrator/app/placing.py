"""Where a plan's apps would be built if nothing else ran: from what earlier runs left and a hash. Nobody is asked.

What hosts build for is known only where their addresses say it; a run asks them.
"""

import os
from collections.abc import Mapping

from orchestrator.app import builder
from orchestrator.app.learning import Learning
from orchestrator.app.skipping import memory_of
from orchestrator.config import Config
from orchestrator.model import Plan
from orchestrator.plan.bases import base_names
from orchestrator.schedule.jobs import job, lying
from orchestrator.schedule.placement import Host, Placed, Pool
from remote.address import SshAddress


def places(config: Config, plan: Plan) -> Mapping[str, Placed]:
    """The place of each app that has one, by the app's name.

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
    expected = {name: pool.expected(each) for name, each in jobs.items()}
    return {name: placed for name, placed in expected.items() if placed is not None}
