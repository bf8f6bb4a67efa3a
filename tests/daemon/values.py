"""A machine on which everything is there, and what was said of a daemon, for tests that change one thing of it."""

from pathlib import Path

from orchestrator.daemon.facts import PROGRAMS
from orchestrator.daemon.model import Facts, Settings
from orchestrator.daemon.settings import decide
from orchestrator.model import Isolated

ROOT = Path("/var/lib/own")
FACTS = Facts(
    capabilities=frozenset({"sys_admin", "net_admin"}),
    programs={name: f"/usr/bin/{name}" for names in PROGRAMS.values() for name in names},
    version=(28, 0),
    groups="v2",
    fuse=True,
    contained=False,
    disk="ext4",
    interface="eth0",
    mtu=1500,
)
SAID = Isolated(kind="buildkitd", storage="overlay2", size=20_000_000_000, free=2_000_000_000)


def settings(said: Isolated = SAID, facts: Facts = FACTS) -> Settings:
    """What is decided where nothing is said of registries."""
    return decide(said, facts, root=ROOT, mirrors={}, registries={})
