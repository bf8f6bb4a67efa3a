"""A real Ceph cluster of one node: monitor, manager, an OSD, a metadata server, and CephFS mounted on this machine.

The daemons have a network of their own behind one link, so that what a client here writes crosses a network, whose rate
can be limited; the OSD answers as late as it is told to. The OSD's disk is a sparse file. Nothing in the cluster is
meant to last: `up --ceph` makes it, `down` deletes it.

`current()` says where CephFS is mounted, for tests and benchmarks; `reshape()` changes rate and delay while it runs.
"""

from tests.lab.ceph.cluster import clean, reshape, start
from tests.lab.ceph.record import Ceph, current, known
from tests.lab.ceph.shape import Shape

__all__ = ["Ceph", "Shape", "clean", "current", "known", "reshape", "start"]
