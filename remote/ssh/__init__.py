"""Hosts behind sshd: one SSH connection for each, and in it a channel for each connection to the host's daemon."""
