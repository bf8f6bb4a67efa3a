"""The services that a daemon calls on us while it builds, on a connection inside `Control.Session`."""
