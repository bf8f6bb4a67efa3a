"""What lies below a measured build: a storage made ready, the kernel's counters around a run, raw figures beside it.

`prepared` gives a target a directory of its own and, where its file system does not carry overlay (which is tried, not
guessed by name), an ext4 image in it on a loop device, as operators of such storage do. All of that has names that tell
whose it is (`orchestrator.temporary`), so that the next run clears away what a killed one could not.
"""

from orchestrator.bench.ground.meter import Meter, metered, sync
from orchestrator.bench.ground.preparing import prepared, renew
from orchestrator.bench.ground.probing import probe
from orchestrator.bench.model import Ground, Need, Raw, Target

__all__ = ["Ground", "Meter", "Need", "Raw", "Target", "metered", "prepared", "probe", "renew", "sync"]
