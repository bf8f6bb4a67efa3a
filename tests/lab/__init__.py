"""The lab: a real registry, a real buildkitd and base images on one machine, for tests, benchmarks and the first try.

`python -m tests.lab up` brings it up, `current()` says where it is. Everything it makes lies under one directory
(`$FLEETPACKS_LAB`, else `~/.cache/fleetpacks/lab`); nothing of the distribution is installed or started.
"""

from tests.lab.state import Engine, Lab, current

__all__ = ["Engine", "Lab", "current"]
