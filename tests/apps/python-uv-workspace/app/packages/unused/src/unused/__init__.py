"""Needed by nobody."""

import iniconfig

__all__ = ["iniconfig"]
