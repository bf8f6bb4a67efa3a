"""Hosts as byte streams to their daemons. A library of its own: it knows nothing of builds."""
