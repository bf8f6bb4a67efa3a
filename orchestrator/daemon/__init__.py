"""A daemon of our own for one run: a buildkitd or a dockerd that is started, serves, and leaves nothing.

What it is started with is decided out of what was said (`orchestrator.model.Isolated`) and of what the machine is
(`facts`), in plain functions: `settings`, then `buildkitd` or `dockerd` for its files, and `refusal` where it cannot
be. `running` does it. Between us and the daemon there is one more process, `keeper`: it holds the daemon in namespaces
of its own, so that the kernel ends every process and takes back every mount of it at once, and it ends when we do,
however we do.
"""
