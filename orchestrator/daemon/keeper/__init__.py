"""The process between us and a daemon: it starts the daemon, ends it when we are gone, and clears away what it leaves.

Run as a program of its own, and imported for `leftovers.clean`; so it knows nothing but Python's own modules, and only
those that are quick to import. Its standard input brings one line of JSON, a `Task`, and is our lifeline from then on:
at its end, which the kernel makes also when we are killed, the daemon is ended. On its standard output it tells in
lines of JSON what has become of that; the daemon's output goes to its standard error.

The daemon runs below a first process in a namespace of processes and one of mounts (`first`). When that one ends the
kernel kills all others in it, build steps and containers too, and every mount of theirs is gone with them; it is killed
when this process is. What the kernel does not take back (`leftovers`) is a bridge with its rules, control groups and a
directory of sockets: they have names that follow from the daemon's directory, so that the next start finds what was
left where this process was killed, too.
"""
