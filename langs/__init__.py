"""What a directory holds and how it becomes an image: detection, versions, Dockerfiles.

A library of its own: it reads files and decides. It opens no socket, runs no command, and knows nothing of the
orchestrator.
"""
