"""The whole program as its user runs it: a process of its own, the lab's daemons, real images."""
