"""What is built on a storage, in which order, and what that took.

The inputs come from a seed and need no network: archives as pip, npm and dpkg unpack them, one large file, sources, and
a base image that is this machine's own Python in an OCI layout. The steps of the Dockerfile run a program of ours
(`step.py`) that writes as those tools do. `rounds` plans runs so that those which are compared come next to each other;
`running` does them on daemons that come in as a Protocol (`builder`).
"""
