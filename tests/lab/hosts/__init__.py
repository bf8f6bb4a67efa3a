"""Builder hosts: real machines as far as a client can tell, made of namespaces.

A host is a process tree with namespaces of its own (network, mounts, pids, names) and a real `sshd` and buildkitd in
them. Its first process does nothing but hold it together: when that one is killed, the kernel ends every other process
of the host, build steps too, and its mounts and its end of the network link go with them. So nothing of a host outlives
it but files, an empty control group and a file that says which process is its first.

`up --hosts N` makes hosts that everybody shares; `started()` makes one for a test, which may break it.
"""

from tests.lab.hosts.host import BUILDKITD_SOCKET, Host
from tests.lab.hosts.pool import clean, running, start, started

__all__ = ["BUILDKITD_SOCKET", "Host", "clean", "running", "start", "started"]
