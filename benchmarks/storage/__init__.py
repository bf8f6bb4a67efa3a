"""The project's own cases of the storage benchmark: this machine's disk against the lab's CephFS."""
