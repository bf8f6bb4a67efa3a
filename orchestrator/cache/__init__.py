"""Caches that outlive a builder: where they are, and who may write them. Pure."""
